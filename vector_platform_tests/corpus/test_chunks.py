"""The chunks table follows the documents table: only what changed is cut and written."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from vector_platform.corpus.chunking import Chunker
from vector_platform.corpus.chunks import ChunkReport, DocumentsMissing, sync_chunks
from vector_platform.lake.contract import CHUNKS, DOCUMENTS, content_of, hash_text
from vector_platform.lake.slices.slices import Slice
from vector_platform.lake.storage.tables import Table

LONG = " ".join(f"Sentence number {number} says something." for number in range(20))


class Counting(Chunker):
    """A real chunker that remembers which documents it cut."""

    def __init__(self, max_tokens: int = 32) -> None:
        super().__init__(max_tokens=max_tokens)
        self.seen: list[str] = []

    def chunk(self, title: str, body: str) -> list[str]:
        self.seen.append(title)
        return super().chunk(title, body)


def document(key: str, body: str = "A body.", **more: Any) -> dict[str, Any]:
    row = {
        "doc_id": f"s:{key}",
        "source": "s",
        "key": key,
        "tenant": "t",
        "region": "global",
        "title": key,
        "body": body,
        "attributes": "{}",
        "updated_at": None,
        "duplicate_of": None,
        "row_hash": "0",
        "uri": "u",
        "run_id": "r",
        "ingested_at": datetime(2026, 11, 1, tzinfo=UTC),
    }
    return row | more


def put(documents: Table, *rows: dict[str, Any], gone: tuple[str, ...] = ()) -> None:
    documents.merge(
        pa.Table.from_pylist(list(rows), schema=DOCUMENTS.schema), [(f"s:{key}",) for key in gone]
    )


@pytest.fixture(params=[True, False], ids=["with change feed", "without change feed"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Table, Table]:
    spec = dataclasses.replace(DOCUMENTS, change_feed=request.param)
    return Table(spec, str(tmp_path), None), Table(CHUNKS, str(tmp_path), None)


def texts(chunks: Table) -> dict[str, str]:
    return {row["chunk_id"]: row["text"] for row in chunks.read().to_pylist()}


def written(report: ChunkReport) -> tuple[int, int, int]:
    return report.inserted, report.changed, report.deleted


def test_the_first_sync_cuts_everything_in_one_commit(tables: tuple[Table, Table]) -> None:
    documents, chunks = tables
    put(documents, document("a", LONG), document("b", attributes='{"x":1}', tenant="u"))
    report = sync_chunks(documents, chunks, Chunker(max_tokens=32), run_id="r")
    rows = {row["chunk_id"]: row for row in chunks.read().to_pylist()}
    assert chunks.version() == 1
    assert report.chunks == report.inserted == len(rows) > 5
    assert [rows[f"s:a#{n}"]["ordinal"] for n in range(len(rows) - 1)] == list(range(len(rows) - 1))
    last = rows["s:b#0"]
    assert (last["attributes"], last["tenant"], last["title"]) == ('{"x":1}', "u", "b")
    assert last["content_hash"] == hash_text(content_of("b", "A body."))
    assert last["chunker"] == Chunker(max_tokens=32).version


def test_a_second_sync_cuts_and_writes_nothing(tables: tuple[Table, Table]) -> None:
    documents, chunks = tables
    put(documents, document("a", LONG), document("b"))
    first = sync_chunks(documents, chunks, Counting(), run_id="r")
    version, chunker = chunks.version(), Counting()
    report = sync_chunks(documents, chunks, chunker, run_id="r")
    assert chunks.version() == version
    assert chunker.seen == []
    assert written(report) == (0, 0, 0)
    assert report.unchanged == report.chunks == first.chunks
    assert report.documents == 2


def test_only_what_differs_is_written(tables: tuple[Table, Table]) -> None:
    documents, chunks = tables
    put(documents, document("a", LONG), document("b"), document("c"), document("d"))
    before = sync_chunks(documents, chunks, Counting(), run_id="r")
    put(
        documents,
        document("a", LONG.replace("Sentence number 0", "Phrase number 0")),
        document("b", attributes='{"x":1}'),
        document("e"),
        gone=("d",),
    )
    report = sync_chunks(documents, chunks, Counting(), run_id="r")
    assert written(report) == (1, 2, 1)
    assert (report.documents, report.chunks) == (4, before.chunks)
    assert report.unchanged == before.chunks - 3
    assert chunks.version() == 2


def test_a_document_that_became_shorter_leaves_no_chunk_behind(
    tables: tuple[Table, Table],
) -> None:
    documents, chunks = tables
    put(documents, document("a", LONG))
    many = sync_chunks(documents, chunks, Counting(), run_id="r").chunks
    put(documents, document("a", "Short."))
    report = sync_chunks(documents, chunks, Counting(), run_id="r")
    assert written(report) == (0, 1, many - 1)
    assert texts(chunks) == {"s:a#0": "Short."}


def test_an_incremental_sync_ends_where_a_rebuild_would(
    tables: tuple[Table, Table], tmp_path: Path
) -> None:
    documents, chunks = tables
    put(documents, document("a", LONG), document("b", "one two"), document("c"))
    sync_chunks(documents, chunks, Counting(), run_id="r")
    put(documents, document("a", LONG.replace(". ", ".\n\n")), gone=("c",))
    put(documents, document("b", "one\n\ntwo"), document("d", LONG))
    sync_chunks(documents, chunks, Counting(), run_id="r")
    rebuilt = Table(CHUNKS, str(tmp_path / "rebuilt"), None)
    sync_chunks(documents, rebuilt, Counting(), run_id="r")
    key = [("chunk_id", "ascending")]
    assert chunks.read().sort_by(key).equals(rebuilt.read().sort_by(key))


def test_a_new_chunker_cuts_everything_again(tables: tuple[Table, Table]) -> None:
    documents, chunks = tables
    put(documents, document("a", LONG), document("b"))
    sync_chunks(documents, chunks, Counting(32), run_id="r")
    chunker = Counting(64)
    sync_chunks(documents, chunks, chunker, run_id="r")
    assert sorted(chunker.seen) == ["a", "b"]
    assert set(chunks.read(["chunker"]).column("chunker").to_pylist()) == {chunker.version}


def test_a_documents_table_made_anew_is_read_in_full(tmp_path: Path) -> None:
    chunks = Table(CHUNKS, str(tmp_path), None)
    for place, keys in (("one", "ab"), ("two", "bc")):
        documents = Table(
            dataclasses.replace(DOCUMENTS, change_feed=True), str(tmp_path / place), None
        )
        put(documents, *(document(key) for key in keys))
        sync_chunks(documents, chunks, Counting(), run_id="r")
    assert set(texts(chunks)) == {"s:b#0", "s:c#0"}


def test_the_newest_sync_is_found_behind_commits_of_upkeep(tmp_path: Path) -> None:
    documents = Table(dataclasses.replace(DOCUMENTS, change_feed=True), str(tmp_path), None)
    chunks = Table(CHUNKS, str(tmp_path), None)
    for key in "abc":
        put(documents, document(key))
        sync_chunks(documents, chunks, Counting(), run_id="r")
    chunks.optimize()
    put(documents, document("c", "Changed."))
    chunker = Counting()
    report = sync_chunks(documents, chunks, chunker, run_id="r")
    assert chunker.seen == ["c"]
    assert written(report) == (0, 1, 0)


def test_changes_that_chunks_do_not_show_are_no_commit(tables: tuple[Table, Table]) -> None:
    documents, chunks = tables
    put(documents, document("a"))
    sync_chunks(documents, chunks, Counting(), run_id="r")
    put(documents, document("a", uri="elsewhere"))
    for _ in range(2):
        assert written(sync_chunks(documents, chunks, Counting(), run_id="r")) == (0, 0, 0)
    assert chunks.version() == 1


def test_duplicates_are_cut_too_and_share_their_content(tables: tuple[Table, Table]) -> None:
    documents, chunks = tables
    put(documents, document("a"), document("b", title="a", duplicate_of="s:a"))
    sync_chunks(documents, chunks, Counting(), run_id="r")
    rows = chunks.read().to_pylist()
    assert len(rows) == 2
    assert len({row["content_hash"] for row in rows}) == 1


def test_a_missing_documents_table_does_not_delete_the_chunks(tmp_path: Path) -> None:
    documents = Table(DOCUMENTS, str(tmp_path), None)
    chunks = Table(CHUNKS, str(tmp_path), None)
    assert sync_chunks(documents, chunks, Counting(), run_id="r").chunks == 0
    elsewhere = Table(DOCUMENTS, str(tmp_path / "elsewhere"), None)
    put(elsewhere, document("a"))
    sync_chunks(elsewhere, chunks, Counting(), run_id="r")
    with pytest.raises(DocumentsMissing):
        sync_chunks(documents, chunks, Counting(), run_id="r")
    assert set(texts(chunks)) == {"s:a#0"}


# -- quarantine -----------------------------------------------------------------------------


def test_documents_in_quarantine_have_no_chunks_until_they_are_replayed(
    tables: tuple[Table, Table],
) -> None:
    documents, chunks = tables
    put(documents, document("a", LONG), document("b"), document("c", tenant="u"))
    whole = sync_chunks(documents, chunks, Counting(), run_id="r").chunks
    before = chunks.read().sort_by("chunk_id").to_pylist()
    held = [Slice("s", "t")]
    chunker = Counting()
    report = sync_chunks(documents, chunks, chunker, run_id="r", quarantined=held)
    assert set(texts(chunks)) == {"s:c#0"}
    if documents.spec.change_feed:
        assert chunker.seen == []  # what no quarantine touches is not cut again
    assert (report.quarantined, report.deleted, report.documents) == (2, whole - 1, 3)
    # It stays so, whatever comes of its documents in the meantime.
    put(documents, document("b", "Mended."), document("d"))
    report = sync_chunks(documents, chunks, Counting(), run_id="r", quarantined=held)
    assert written(report) == (0, 0, 0)
    assert set(texts(chunks)) == {"s:c#0"}
    sync_chunks(documents, chunks, Counting(), run_id="r")
    after = chunks.read().sort_by("chunk_id").to_pylist()
    assert [row for row in after if row["doc_id"] in ("s:a", "s:c")] == [
        row for row in before if row["doc_id"] != "s:b"
    ]
    assert {texts(chunks)[f"s:{key}#0"] for key in ("b", "d")} == {"Mended.", "A body."}


def test_a_quarantine_that_was_killed_before_its_commit_is_made_good_by_the_next(
    tables: tuple[Table, Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, chunks = tables
    put(documents, document("a"), document("c", tenant="u"))
    sync_chunks(documents, chunks, Counting(), run_id="r")
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="killed"):
        patched.setattr(Table, "merge", killed)
        sync_chunks(documents, chunks, Counting(), run_id="r", quarantined=[Slice("s", "t")])
    assert set(texts(chunks)) == {"s:a#0", "s:c#0"}
    sync_chunks(documents, chunks, Counting(), run_id="r", quarantined=[Slice("s", "t")])
    assert set(texts(chunks)) == {"s:c#0"}


def killed(*_: object, **__: object) -> None:
    raise RuntimeError("killed")


def test_documents_with_a_vector_of_their_own_are_not_cut_and_name_their_landed_row(
    tables: tuple[Table, Table],
) -> None:
    documents, chunks = tables
    put(documents, document("a", LONG, row_hash="h1"))
    chunker = Counting()
    assert sync_chunks(documents, chunks, chunker, run_id="r").chunks > 1
    # The mapping alone has changed: everything is cut again.
    report = sync_chunks(documents, chunks, chunker, run_id="r", whole=["s"])
    (row,) = chunks.read().to_pylist()
    assert (row["chunk_id"], row["text"], row["row_hash"]) == ("s:a#0", LONG, "h1")
    assert row["content_hash"] == hash_text(content_of("a", LONG))
    assert (report.chunks, report.without_text) == (1, 0)
    put(documents, document("a", LONG, row_hash="h2"))
    assert sync_chunks(documents, chunks, chunker, run_id="r", whole=["s"]).changed == 1
    assert sync_chunks(documents, chunks, chunker, run_id="r", whole=["s"]).changed == 0
    assert sync_chunks(documents, chunks, chunker, run_id="r").chunks > 1
    assert set(chunks.read(["row_hash"]).column(0).to_pylist()) == {None}
