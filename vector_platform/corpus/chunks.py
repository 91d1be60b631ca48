"""Keeping the lake's chunks equal to its documents.

Belongs here: which documents must be cut again, and one commit that makes `chunks` follow.

What a commit was made from is kept in the commit itself (the documents' table id and version,
the chunker, what is quarantined), so there is no ledger to lose: the next run asks the documents'
change feed what happened since, and cuts only those, and what a quarantine took or gave back.
Without that (first run, another chunker, no feed) it cuts everything and still writes only what
differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.errors import TerminalError
from vector_platform.lake.contract import content_of, hash_text, is_blank
from vector_platform.lake.slices.slices import (
    SLICE_COLUMNS,
    Slice,
    documents_of,
    name_slices,
    parse_slices,
)
from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.storage.table_reader import HistoryUnavailable
from vector_platform.lake.storage.tables import Table
from vector_platform.progress import Paced

if TYPE_CHECKING:
    from vector_platform.corpus.chunking import Chunker

_INPUT = ["doc_id", "region", "title", "body", "attributes", "row_hash", *SLICE_COLUMNS]
# How a document with a vector of its own is cut: not at all.
WHOLE = "whole"
# How far back the newest sync is looked for among commits of upkeep (compaction, erasure).
_HISTORY = 100

Row = dict[str, Any]


class DocumentsMissing(TerminalError):
    """There are chunks but no documents table: deleting every chunk is not meant by that."""


@dataclass(frozen=True)
class ChunkReport:
    """What a sync found and did.

    Attributes:
        documents: Documents in the corpus.
        chunked: Documents that were cut in this run.
        quarantined: Documents looked at in this run that a quarantine holds: they have no chunks.
        without_text: Documents that were cut and have no chunk, because nothing of their text can
            be seen. Landing refuses them; a staging model of one's own may make some.
        chunks: Chunks afterwards.
        inserted: New chunks.
        changed: Chunks written again under the same id.
        deleted: Chunks that are gone.
        unchanged: Chunks left as they were.
    """

    documents: int
    chunked: int
    quarantined: int
    without_text: int
    chunks: int
    inserted: int
    changed: int
    deleted: int
    unchanged: int

    def facts(self) -> dict[str, int]:
        """The counts by name, for a log line or metadata."""
        return asdict(self)


@dataclass(frozen=True)
class _Origin:
    """What the chunks of a commit were made from."""

    documents_id: str
    documents_version: int
    chunker: str
    quarantined: str

    def metadata(self, run_id: str) -> dict[str, str]:
        return {"run_id": run_id, **{name: str(value) for name, value in asdict(self).items()}}

    @classmethod
    def newest(cls, chunks: Table) -> _Origin | None:
        for commit in chunks.history(_HISTORY):
            if "documents_version" in commit:
                return cls(
                    commit["documents_id"],
                    int(commit["documents_version"]),
                    commit["chunker"],
                    commit.get("quarantined", ""),
                )
        return None


def sync_chunks(
    documents: Table,
    chunks: Table,
    chunker: Chunker,
    *,
    run_id: str,
    quarantined: Sequence[Slice] = (),
    whole: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> ChunkReport:
    """Make `chunks` the passages of `documents`, in one commit, or none when nothing differs.

    Only documents that changed since the last sync are cut, as far as the documents' change feed
    reaches. Duplicates are cut too; they share their content hash and are embedded once.

    Args:
        documents: What is cut.
        chunks: Where the passages are.
        chunker: Cuts.
        run_id: Goes into the commit.
        quarantined: Slices in quarantine: their documents have no chunks.
        whole: Sources whose documents are not cut, since their rows bring a vector along. Their
            chunks name the landed row that holds it.
        say: Told how far it is, every few seconds.

    Raises:
        DocumentsMissing: The documents table does not exist although there are chunks.
    """
    documents_id, version = documents.identity()
    stored_rows = chunks.rows()
    if version < 0:
        if stored_rows:
            raise DocumentsMissing(
                "the lake has chunks but no documents table: publish the documents first"
            )
        return ChunkReport(0, 0, 0, 0, 0, 0, 0, 0, 0)
    cut = cut_version(chunker, whole)
    origin = _Origin(documents_id, version, cut, name_slices(quarantined))
    changed_ids = _changed_since(_Origin.newest(chunks), origin, documents)

    stored = _stored(chunks, changed_ids)
    upserts: list[Row] = []
    chunked = inserted = held = without_text = 0
    to_cut = documents.rows(version) if changed_ids is None else len(changed_ids)
    paced = Paced(say, "documents cut", to_cut)
    for document in _documents(documents, version, changed_ids):
        if any(one.holds(document) for one in quarantined):
            held += 1
            continue
        chunked += 1
        paced.reached(chunked + held)
        rows = list(_rows(document, None if document["source"] in whole else chunker))
        without_text += not rows
        for row in rows:
            before = stored.pop(row["chunk_id"], None)
            if before == _state(row):
                continue
            inserted += before is None
            upserts.append(row)
    # What is left belongs to no current document, to one in quarantine, or to one that has become
    # shorter.
    chunks.merge(
        pa.Table.from_pylist(upserts, schema=chunks.spec.schema),
        [(chunk_id,) for chunk_id in stored],
        origin.metadata(run_id),
    )
    total = stored_rows + inserted - len(stored)
    return ChunkReport(
        documents=documents.rows(version),
        chunked=chunked,
        quarantined=held,
        without_text=without_text,
        chunks=total,
        inserted=inserted,
        changed=len(upserts) - inserted,
        deleted=len(stored),
        unchanged=total - len(upserts),
    )


def _changed_since(last: _Origin | None, now: _Origin, documents: Table) -> list[str] | None:
    """Ids of documents touched since the last sync; None when that cannot be told."""
    if (
        last is None
        or (last.documents_id, last.chunker) != (now.documents_id, now.chunker)
        or last.documents_version > now.documents_version
    ):
        return None
    try:
        touched = documents.changes(last.documents_version, now.documents_version, ["doc_id"])
    except HistoryUnavailable:
        return None
    ids = set(pc.unique(touched.column("doc_id")).to_pylist())
    moved = parse_slices(last.quarantined) ^ parse_slices(now.quarantined)
    return sorted(ids.union(documents_of(documents, moved, version=now.documents_version)))


def _documents(documents: Table, version: int, ids: list[str] | None) -> Iterator[Row]:
    if ids == []:
        return
    where: list[Condition] = [] if ids is None else [("doc_id", "in", ids)]
    for batch in documents.batches(_INPUT, where=where, version=version, batch_rows=1024):
        yield from batch.to_pylist()


def _stored(chunks: Table, ids: list[str] | None) -> dict[str, str]:
    """Chunk id -> state, of the documents that are looked at."""
    if ids == []:
        return {}
    where: list[Condition] = [] if ids is None else [("doc_id", "in", ids)]
    return {
        row["chunk_id"]: _state(row)
        for batch in chunks.batches(where=where)
        for row in batch.to_pylist()
    }


def cut_version(chunker: Chunker, whole: Sequence[str]) -> str:
    """Everything that decides how documents are cut: the chunker, and whose are left whole."""
    return ";".join([chunker.version, *(f"{WHOLE} {source}" for source in sorted(whole))])


def _rows(document: Row, chunker: Chunker | None) -> Iterator[Row]:
    if chunker is not None:
        passages = chunker.chunk(document["title"], document["body"])
    else:
        passages = [] if is_blank(document["body"]) else [document["body"]]
    for ordinal, text in enumerate(passages):
        yield {
            "chunk_id": f"{document['doc_id']}#{ordinal}",
            "doc_id": document["doc_id"],
            "ordinal": ordinal,
            "source": document["source"],
            "tenant": document["tenant"],
            "region": document["region"],
            "title": document["title"],
            "text": text,
            "content_hash": hash_text(content_of(document["title"], text)),
            "attributes": document["attributes"],
            "chunker": chunker.version if chunker is not None else WHOLE,
            "row_hash": document["row_hash"] if chunker is None else None,
        }


def _state(row: Row) -> str:
    """One hash of all that a chunk row says."""
    return hash_text("\x1f".join(f"{name}={row[name]}" for name in sorted(row)))
