"""The worked example of a source in `docs/contributing.md`: two files of the deployment."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from vector_platform.sources.landing.landing import land
from vector_platform.wiring import Platform
from vector_platform_tests.sources.landings import rejects
from vector_platform_tests.worked_examples import example

DAY = date(2026, 11, 2)
REST = "start_date: 2026-11-01\nmodels: {words.v1: {package: wordllama, kind: static}}\n"


def test_the_example_of_a_source_is_two_files_and_lands(tmp_path: Path) -> None:
    found = example("Add a source")
    assert (list(found.files), found.diffs) == (["release_source.py"], [])
    (tmp_path / "release_source.py").write_text(found.files["release_source.py"], encoding="utf-8")
    (tmp_path / "platform.yaml").write_text(REST + found.yaml, encoding="utf-8")
    lines = "1.1: Searches are faster.\nno version here\n1.0: The first.\n"
    (tmp_path / "releases.txt").write_text(lines, encoding="utf-8")
    platform = Platform.load(tmp_path / "platform.yaml")
    (name,) = platform.settings.sources
    report = land(
        lake=platform.lake,
        name=name,
        spec=platform.settings.sources[name],
        source=platform.source(name),
        day=DAY,
        first_day=platform.settings.start_date,
        run_id="run",
        now=datetime(2026, 11, 2, 12, tzinfo=UTC),
    )
    assert (report.inserted, report.rejected) == (2, 1)
    assert rejects(platform.lake, DAY) == {"releases.txt:2": "malformed line: no colon"}
