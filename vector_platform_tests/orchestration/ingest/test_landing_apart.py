"""Sources land each by itself: one that cannot be read is named and stops no other."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from vector_platform.lake.lake import Lake
from vector_platform.orchestration.converge import converge
from vector_platform.orchestration.launch import RunFailed, Runs
from vector_platform_tests.orchestration.harness import MemoryPlatform, settings_of

DAY = date(2026, 1, 9)


@pytest.mark.deep
@pytest.mark.usefixtures("at_once")
def test_a_source_that_fails_is_named_and_stops_no_other(root: Path, tmp_path: Path) -> None:
    fields = {"key": "id", "text": "body"}
    gone = {"kind": "files", "path": "not-there.csv", "fields": fields}
    guides = {"kind": "files", "path": "guides/*.md"}
    platform = MemoryPlatform(settings_of(root, sources={"notices": gone, "guides": guides}))
    platform.lake = Lake(str(tmp_path / "lake"))
    runs = Runs(platform, instance=dg.DagsterInstance.ephemeral())

    stage = next(converge(runs, DAY))
    assert list(stage.failed_sources) == ["notices"]
    assert "no such file or folder: not-there.csv" in stage.failed_sources["notices"]
    assert stage.changed and "2 inserted" in stage.summary
    assert platform.lake.raw("guides").rows() == 2

    # What is known to be broken is not asked at all, and nothing is left to hide a failure.
    stage = next(converge(runs, DAY, left_out=["notices"]))
    assert not stage.failed_sources and not stage.changed
    with pytest.raises(RunFailed, match=r"not-there\.csv"):
        runs.land(["notices"], DAY)
