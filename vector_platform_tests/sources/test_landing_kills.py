"""A landing that is killed between its commits converges on the next run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vector_platform.lake.contract import TableSpec
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.tables import Table
from vector_platform_tests.sources.landings import (
    FIRST_DAY,
    Found,
    day,
    land_rows,
    newest,
    rejects,
    versions,
)

BEFORE: list[Found] = [{"id": key, "text": key} for key in "abc"]
AFTER: list[Found] = [
    {"id": "a", "text": "a"},
    {"id": "b", "text": "changed"},
    {"id": "d", "text": "new"},
    {"id": None, "text": "no key"},
    {"id": "e", "text": 5},
]
COUNTS = ("inserted", "changed", "removed", "rejected")


class Killed(BaseException):
    """Stands for the process's death: nothing in the product may catch it."""


class MortalLake(Lake):
    """A lake whose process dies around its n-th commit."""

    def __init__(self, uri: str, *, commit: int, survives: bool) -> None:
        self.left = commit
        self.survives = survives
        super().__init__(uri)

    def _table(self, spec: TableSpec) -> Table:
        lake = self

        class MortalTable(Table):
            def _write(self, *arguments: Any) -> int:
                lake.left -= 1
                if lake.left == 0 and not lake.survives:
                    raise Killed
                version = super()._write(*arguments)
                if lake.left == 0:
                    raise Killed
                return version

        return MortalTable(spec, self.uri, None)


def figures(lake: Lake) -> dict[str, int]:
    """The day's counts over all its landings; rejects are those of the last."""
    rows = [r for r in lake.landings.read().to_pylist() if r["ingest_date"] == day(2)]
    rows.sort(key=lambda r: r["landed_at"])
    total = {name: sum(r[name] for r in rows) for name in COUNTS[:-1]}
    return {**total, "rejected": rows[-1]["rejected"]}


@pytest.mark.parametrize("survives", [False, True], ids=["before-commit", "after-commit"])
@pytest.mark.parametrize("commit", [1, 2, 3], ids=["rows", "rejects", "landings"])
def test_killed_around_any_commit_the_next_run_ends_where_an_unhurt_one_does(
    tmp_path: Path, commit: int, survives: bool
) -> None:
    unhurt, lake = Lake(str(tmp_path / "unhurt")), Lake(str(tmp_path / "hurt"))
    for target in (unhurt, lake):
        land_rows(target, [*BEFORE, {"id": "x"}], on=FIRST_DAY, run_id="first")
    land_rows(unhurt, AFTER, on=day(2), run_id="second")

    with pytest.raises(Killed):
        mortal = MortalLake(lake.uri, commit=commit, survives=survives)
        land_rows(mortal, AFTER, on=day(2), run_id="killed")
    land_rows(lake, AFTER, on=day(2), run_id="again")

    def state(of: Lake) -> object:
        return {key: row["payload"] for key, row in newest(of).items()}, rejects(of, day(2))

    assert state(lake) == state(unhurt)
    assert figures(lake) == figures(unhurt)
    assert lake.raw("notes").read().num_rows == unhurt.raw("notes").read().num_rows
    settled = versions(lake)
    assert not land_rows(lake, AFTER, on=day(2), run_id="third").wrote
    assert versions(lake) == settled


def test_the_counts_of_a_landing_killed_twice_are_not_lost(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    with pytest.raises(Killed):
        land_rows(MortalLake(lake.uri, commit=1, survives=True), BEFORE, on=day(2), run_id="k1")
    more: list[Found] = [*BEFORE, {"id": "d", "text": "d"}]
    with pytest.raises(Killed):
        land_rows(MortalLake(lake.uri, commit=1, survives=True), more, on=day(2), run_id="k2")
    land_rows(lake, more, on=day(2), run_id="k3")
    assert figures(lake)["inserted"] == 4
