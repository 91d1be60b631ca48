"""The tables of the operators' page that follow from the records of checks and reactions.

Belongs here: how a record is a row. `python -m vector_platform_tests.remediation.tables` writes
them into the page; `test_tables.py` fails while the page has others.
"""

from __future__ import annotations

import re
from pathlib import Path

from vector_platform.remediation.checks import CHECKS
from vector_platform.remediation.reactions import REACTIONS, SENSORS, Sensor
from vector_platform.settings import Acting, ActionPolicy
from vector_platform.settings import Schedules as Times

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"

CHECK_COLUMNS = ("check", "on", "blocks", "when it fails")
REACTION_COLUMNS = (
    "what has failed",
    "what is wrong",
    "what is done",
    "what is never done",
)
PLACES = {"raw": "`raw/*`", "index": "every index"}


def written(text: str) -> str:
    """The page with every table as the records have it."""
    text = _with_table(
        text,
        CHECK_COLUMNS,
        [
            (
                f"`{one.name}`",
                PLACES.get(one.of, f"`{one.of}`"),
                "yes" if one.blocks else "no",
                one.when_it_fails,
            )
            for one in CHECKS.values()
        ],
    )
    text = _with_table(
        text,
        REACTION_COLUMNS,
        [(one.shows, one.wrong, one.done, one.not_done) for one in REACTIONS],
    )
    for sensor in SENSORS:
        row = _row((f"sensor `{sensor.name}`", f"every {Times().sensor_seconds} s", _does(sensor)))
        text, found = re.subn(
            rf"^\| sensor `{sensor.name}` .*$", lambda _, row=row: row, text, flags=re.MULTILINE
        )
        assert found == 1, f"{PAGE.name} has no row of the sensor {sensor.name}: add an empty one"
    return text


def _does(sensor: Sensor) -> str:
    if sensor.job is None:
        return sensor.description
    (action,) = {one.action for one in REACTIONS if one.sensor == sensor}
    policy: ActionPolicy = getattr(Acting(), action)
    person = policy.by == "person"
    only = f", if `acting.{action}.by` is `auto`" if person else ""
    return f"{sensor.description} Starts `{sensor.job}`{only}."


def _with_table(text: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = _row(columns) + "\n" + "|---" * len(columns) + "|\n"
    assert text.count(head) == 1, f"{PAGE.name} has no table of {columns[0]!r}"
    before, after = text.split(head)
    rest = re.sub(r"\A(\|.*\n)*", "", after)
    return before + head + "".join(_row(row) + "\n" for row in rows) + rest


def _row(cells: tuple[str, ...]) -> str:
    return re.sub(r"  +", " ", "| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
