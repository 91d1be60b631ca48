"""Bad input through the whole pipeline: what lands, what is rejected and where, what stops.

The tests of this file are one story on one deployment, told in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from vector_platform.orchestration.runs import retries
from vector_platform.orchestration.showing import unfolded
from vector_platform_tests.integration.deployments import BACKENDS, WORDS, Deployment, running
from vector_platform_tests.some import some

pytestmark = pytest.mark.integration

DAYS = [date(2026, 1, day) for day in range(5, 9)]
GOOD_ROWS = {f"rows:{key}" for key in ("c1", "c2", "c3", "j1", "j2", "j3", "q1", "q2")}
GOOD_PAGES = {"pages:fine.md", "pages:other.txt"}
CSV = (
    b"id,title,text,size\n"
    b"c1,First,The first row is good.,1\n"
    b",Nameless,This row has no key.,2\n"
    b"c2,Second,The second row is good.,3\n"
    b"c1,Twin,This row has the key of the first.,4\n"
    b"c3,Caf\xc3\xa9,A row in proper UTF-8.,5\n"
    b"c4,Caf\xe9,A row in Latin-1.,6\n"
    b"c5,Ragged,A row with a cell too many.,7,8\n"
)
JSONL: list[Any] = [
    {"id": "j1", "title": "One", "text": "A good line.", "size": 1},
    {"id": ["j2"], "title": "A list as key", "text": "Wrong type."},
    {"id": "j3", "title": "Three", "text": "Another good line."},
    {"id": "j4", "title": "Four", "text": {"nested": "text"}},
    {"id": "j5", "title": "Five", "text": "Its attribute is an object.", "size": {"cm": 3}},
    {"title": "No key at all", "text": "The column is not there."},
    ["not", "an", "object"],
    {"id": "j2", "title": "Two", "text": "The last good line."},
]
# Place -> how the reason begins.
REJECTED_ROWS = {
    "rows/a.csv:3": "missing key: column 'id' is empty",
    "rows/a.csv:5": "duplicate key: 'c1' is also at rows/a.csv:2",
    "rows/a.csv:7": "bad encoding: not UTF-8",
    "rows/a.csv:8": "ragged row: 5 cells under 4 column names",
    "rows/b.jsonl:2": "wrong type: key 'id' is list",
    "rows/b.jsonl:4": "wrong type: text 'text' is dict",
    "rows/b.jsonl:5": "bad attribute: size: type dict",
    "rows/b.jsonl:6": "missing key: column 'id' is not in the row",
    "rows/b.jsonl:7": "malformed json: list, not an object",
    "rows/broken.parquet#1": "unreadable file",
}
REJECTED_PAGES = {
    "pages/broken.pdf": "unreadable file",
    "pages/latin.md": "bad encoding: not UTF-8",
    "pages/empty.md": "no text",
}


def write_sources(root: Path) -> None:
    rows, pages = root / "rows", root / "pages"
    rows.mkdir()
    pages.mkdir()
    (rows / "a.csv").write_bytes(CSV)
    (rows / "b.jsonl").write_text("\n".join(map(json.dumps, JSONL)), encoding="utf-8")
    (rows / "broken.parquet").write_bytes(b"PAR1 and then nothing of use")
    good = [{"id": f"q{n}", "title": f"Row {n}", "text": f"Parquet {n}."} for n in (1, 2)]
    pq.write_table(pa.Table.from_pylist(good), rows / "c.parquet")
    (pages / "fine.md").write_text("# Fine\n\nA page that can be read.\n", encoding="utf-8")
    (pages / "other.txt").write_text("Another page, in plain text.\n", encoding="utf-8")
    (pages / "latin.md").write_bytes("# Café\n\nÜber den Wolken.\n".encode("latin-1"))
    (pages / "empty.md").write_text("\n", encoding="utf-8")
    (pages / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing of use")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("bad")
    write_sources(root)
    fields = {"key": "id", "title": "title", "text": "text", "attributes": ["size"]}
    sources = {
        "rows": {"kind": "files", "path": "rows", "fields": fields},
        "pages": {"kind": "files", "path": "pages"},
    }
    with running(root, sources=sources) as deployment:
        yield deployment


def rejects(home: Deployment, source: str, day: date) -> dict[str, str]:
    found = home.platform.lake.raw_rejects.read(
        where=[("source", "==", source), ("ingest_date", "==", day)]
    )
    return {row["place"]: row["reason"] for row in found.to_pylist()}


def documents_in(home: Deployment, backend: Any) -> set[str]:
    return {row_id.rpartition("#")[0] for row_id, _, _ in home.stored(backend)}


def check_of(home: Deployment, run_id: str, asset: str) -> dict[str, Any]:
    """Metadata of `every_row_lands` in a run."""
    for record in home.runs.instance.all_logs(run_id):
        event = record.dagster_event
        if event is None or event.event_type_value != "ASSET_CHECK_EVALUATION":
            continue
        check = event.asset_check_evaluation_data
        if check.check_name == "every_row_lands" and check.asset_key.to_user_string() == asset:
            return unfolded(check.metadata)
    raise AssertionError(f"no check of {asset} in run {run_id}")


@pytest.mark.deep
def test_what_cannot_land_is_rejected_with_reason_and_place_and_the_rest_is_searchable(
    home: Deployment,
) -> None:
    stages = home.converge(DAYS[0])
    landing = stages[f"sources {DAYS[0]}"]
    assert set(landing.failed_checks) == {"raw/rows:every_row_lands", "raw/pages:every_row_lands"}
    for source, expected in (("rows", REJECTED_ROWS), ("pages", REJECTED_PAGES)):
        found = rejects(home, source, DAYS[0])
        assert found.keys() == expected.keys()
        for place, reason in expected.items():
            assert found[place].startswith(reason), (place, found[place])
        said = check_of(home, landing.run_id, f"raw/{source}")
        assert said["rejected"] == len(expected)
        assert sum(said["reasons"].values()) == len(expected)
        assert {entry["place"] for entry in said["sample"]} <= expected.keys()
    for backend in BACKENDS:
        assert documents_in(home, backend) == GOOD_ROWS | GOOD_PAGES
        assert home.stored(backend) == home.desired()


@pytest.mark.deep
def test_mended_rows_land_and_leave_the_rejects(home: Deployment) -> None:
    mended = CSV.replace(b"\n,Nameless", b"\nc9,Nameless").replace(b"\xe9", b"\xc3\xa9")
    (home.root / "rows" / "a.csv").write_bytes(mended)
    (home.root / "rows" / "broken.parquet").unlink()
    (home.root / "pages" / "latin.md").write_text("# Café\n\nÜber den Wolken.\n", encoding="utf-8")
    stages = home.converge(DAYS[0])
    gone = {"rows/a.csv:3", "rows/a.csv:7", "rows/broken.parquet#1"}
    assert rejects(home, "rows", DAYS[0]).keys() == REJECTED_ROWS.keys() - gone
    said = check_of(home, stages[f"sources {DAYS[0]}"].run_id, "raw/rows")
    assert said["rejected"] == len(REJECTED_ROWS) - len(gone)
    new = {"rows:c9", "rows:c4", "pages:latin.md"}
    for backend in BACKENDS:
        assert documents_in(home, backend) == GOOD_ROWS | GOOD_PAGES | new


@pytest.mark.deep
def test_what_breaks_after_it_has_landed_keeps_its_last_good_state(home: Deployment) -> None:
    broken = (home.root / "pages" / "fine.md").read_bytes().replace(b"A page", b"A p\xe9ge")
    (home.root / "pages" / "fine.md").write_bytes(broken)
    before = home.stored("milvus")
    home.converge(DAYS[1])
    assert "pages/fine.md" in rejects(home, "pages", DAYS[1])
    for backend in BACKENDS:
        assert home.stored(backend) == before


@pytest.mark.deep
def test_a_source_that_cannot_be_reached_fails_by_name_and_leaves_the_lake_as_it_was(
    home: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0.0)
    # What the other source has to say lands again on the same day: it says nothing new.
    home.converge(DAYS[2])
    before = home.table_versions()
    (home.root / "pages").rename(home.root / "elsewhere")
    stopped = home.cli("run", "--day", str(DAYS[2]))
    assert stopped.code == 1
    assert "source 'pages' cannot be reached: no such file or folder: pages" in stopped.err
    assert "Traceback" not in stopped.err
    assert home.table_versions() == before
    (home.root / "elsewhere").rename(home.root / "pages")
    assert not any(stage.changed for stage in some(home.converge(DAYS[2]).values()))


def test_wrong_settings_are_one_error_that_lists_every_problem(tmp_path: Path) -> None:
    wrong = Deployment(tmp_path)
    described = yaml.safe_dump(
        {
            "start_date": "2026-01-01",
            "colour": "blue",
            "sources": {
                "Bad Name": {"kind": "files", "path": "x"},
                "ok": {"kind": "files", "path": "x", "formt": "csv"},
            },
            "models": {WORDS: {"package": "wordllama", "kind": "static", "max_tokens": 4}},
            "indexes": {"milvus": {"index_type": "TREE"}},
        }
    )
    wrong.file.write_text(described + "owner: one\nowner: two\n", encoding="utf-8")
    checked = wrong.cli("config", "check")
    assert (checked.code, checked.out) == (1, "")
    for path in (
        "colour:",
        "sources.Bad Name",
        "sources.ok.formt:",
        f"models.{WORDS}.max_tokens:",
        "indexes.milvus.index_type:",
        "the name 'owner' is given twice",
    ):
        assert path in checked.err, path
    assert "platform.yaml: 6 problem(s)" in checked.err
    assert "Traceback" not in checked.err
    for verb in (["run"], ["search", "x"], ["index", "status"], ["services", "status"]):
        assert wrong.cli(*verb).err == checked.err
