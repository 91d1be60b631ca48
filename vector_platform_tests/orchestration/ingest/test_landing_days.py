"""Which partitions a landing takes, what it says of its rows, and that landings take turns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from vector_platform.orchestration import keys
from vector_platform.orchestration.converge import StageResult, converge
from vector_platform.orchestration.launch import Runs
from vector_platform.orchestration.partitions import DayOutOfRange
from vector_platform.sources.landing.report import ACCOUNT
from vector_platform_tests.orchestration.harness import MemoryPlatform, settings_of

NOTICES = keys.raw("notices")
ROWS = """id,title,body,at,team
early,A,Before the first day,2025-12-30T09:00:00Z,people
first,B,On the first day,2026-01-01T09:00:00Z,people
gap,C,On a day when nothing ran,2026-01-03T09:00:00Z,people
late,D,On the last day,2026-01-05T09:00:00Z,people
next,E,On the day after,2026-01-06T09:00:00Z,people
never,F,On no day,9999-12-31T00:00:00Z,people
"""


@pytest.fixture
def runs(root: Path, tmp_path: Path) -> Iterator[Runs]:
    (root / "days.csv").write_text(ROWS, encoding="utf-8")
    fields = {"key": "id", "title": "title", "text": "body", "time": "at", "tenant": "team"}
    settings = settings_of(
        root,
        sources={
            "notices": {"kind": "files", "path": "days.csv", "fields": fields},
            "guides": {"kind": "files", "path": "guides/*.md"},
        },
        lake={"uri": str(tmp_path / "lake")},
    )
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        yield Runs(MemoryPlatform(settings), instance=instance)


def days_of(runs: Runs) -> set[str]:
    return set(runs.instance.get_materialized_partitions(NOTICES))


def landed(runs: Runs, day: str, since: str | None = None) -> StageResult:
    """The first stage alone."""
    first = date.fromisoformat(since) if since else None
    return next(converge(runs, date.fromisoformat(day), since=first))


def test_a_first_run_lands_every_day_and_says_what_became_of_every_row(runs: Runs) -> None:
    stage = landed(runs, "2026-01-05")
    assert days_of(runs) == {f"2026-01-0{number}" for number in range(1, 6)}
    assert stage.name == "sources 2026-01-05 and 4 days before"
    assert (
        "8 rows read, 6 inserted, 0 changed, 0 removed, 1 rejected; 8 = 6 landed + 0 unchanged"
        in (stage.summary)
    )
    assert "1 rejected + 1 waiting for another day" in stage.summary
    assert "\nnotices: 1 row(s) wait for later days (2026-01-06)" in stage.summary
    event = runs.instance.get_latest_materialization_event(NOTICES)
    assert event is not None and event.asset_materialization is not None
    facts = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert facts["rows_read"] == sum(facts[part] for part in ACCOUNT) == 6
    assert facts["days"] == 5


def test_chosen_days_land_together_and_no_others(runs: Runs) -> None:
    stage = landed(runs, "2026-01-05", since="2026-01-02")
    assert days_of(runs) == {f"2026-01-0{number}" for number in range(2, 6)}
    assert "2 waiting for another day" in stage.summary
    assert "`vector-platform backfill notices` lands them" in stage.summary
    landed(runs, "2026-01-05")
    assert days_of(runs) == {f"2026-01-0{number}" for number in range(1, 6)}
    with pytest.raises(DayOutOfRange, match="2026-01-06 is after 2026-01-05"):
        landed(runs, "2026-01-05", since="2026-01-06")


def test_a_landing_waits_for_another_one_and_says_for_whom(
    runs: Runs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = runs.platform.writing("raw/notices", run_id="another-run")
    taken, asked = threading.Event(), threading.Event()

    def hold() -> None:
        with other.held():
            taken.set()
            asked.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(60)
    said = type(other)._holder

    def told(lock: object) -> str:
        asked.set()
        return said(lock)

    monkeypatch.setattr(type(other), "_holder", told)
    landed(runs, "2026-01-05")
    holder.join()
    shown = capsys.readouterr().err
    assert "waiting for raw/notices, up to 3600 s: run another-run (another process" in shown
