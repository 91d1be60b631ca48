"""The lists of the operators' page that follow from the records of checks and reactions.

Belongs here: how a record is an entry. `python -m vector_platform_tests.remediation.tables` writes
them into the page; `test_tables.py` fails while the page has others.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from vector_platform.remediation.checks import CHECKS, Check
from vector_platform.remediation.reactions import REACTIONS, SENSORS, Reaction, Sensor
from vector_platform.settings import Acting, ActionPolicy
from vector_platform.settings import Schedules as Times

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"

PLACES = {"raw": "`raw/*`", "index": "every index"}


def written(text: str) -> str:
    """The page with every list as the records have it."""
    text = _with_list(text, "checks", [_check(one) for one in CHECKS.values()])
    text = _with_list(text, "reactions", [_reaction(one) for one in REACTIONS])
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


def _check(one: Check) -> str:
    place = PLACES.get(one.of, f"`{one.of}`")
    return f"- `{one.name}` ({place}{', blocks' if one.blocks else ''}): {one.when_it_fails}"


def _reaction(one: Reaction) -> str:
    never = f" Never: {_small(one.not_done)}" if one.not_done else ""
    done = one.done if one.done.endswith(".") else f"{one.done}."
    return f"1. {one.shows}: {_small(one.wrong)} Done: {_small(done)}{never}"


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _with_list(text: str, name: str, entries: list[str]) -> str:
    """The page with what stands between two marks replaced."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    assert (text.count(begin), text.count(end)) == (1, 1), f"{PAGE.name} has no marks of {name}"
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    return before + begin + "\n" + "".join(map(_wrapped, entries)) + "\n" + end + after


def _wrapped(entry: str) -> str:
    """Lines of an entry; code is not broken, so that commands in it stay readable."""
    code = re.sub(r"`[^`]+`", lambda span: span[0].replace(" ", "\0"), entry)
    indent = " " * (entry.index(" ") + 1)
    lines = textwrap.wrap(
        code, 118, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines).replace("\0", " ") + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return re.sub(r"  +", " ", "| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
