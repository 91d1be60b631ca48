"""Landing of real corpora, where they are there."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from vector_platform.lake.lake import Lake
from vector_platform.settings import FilesSource
from vector_platform.sources.landing.landing import land
from vector_platform.sources.registry import open_source
from vector_platform_tests.sources.landings import NAME, newest

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the folder ../shared/data is not there"
)


def test_advisories_land_completely_over_three_days(tmp_path: Path) -> None:
    lines = (SHARED / "advisories" / "corpus.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    rows = [
        {"id": entry["_id"], "text": entry["text"], "title": entry["title"], **entry["metadata"]}
        for entry in entries
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    spec = FilesSource.model_validate(
        {
            "kind": "files",
            "path": "a.jsonl",
            "fields": {
                "key": "id",
                "text": "text",
                "title": "title",
                "tenant": "tenant",
                "time": "modified",
                "attributes": ["package", "aliases", "categories"],
            },
        }
    )
    lake = Lake(str(tmp_path / "lake"))
    days = sorted({date.fromisoformat(row["modified"]) for row in rows})[-3:]
    total = 0
    for day in days:
        report = land(
            lake=lake,
            name=NAME,
            spec=spec,
            source=open_source(NAME, spec, tmp_path),
            day=day,
            first_day=days[0],
            run_id=str(day),
            now=datetime.now(UTC),
        )
        assert report.rejected == 0
        total += report.inserted
    assert total == len(rows) == len(newest(lake))
