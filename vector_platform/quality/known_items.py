"""Known-item queries for content that a reference does not explain: which documents, which words.

Belongs here: choosing documents of some days, and the text by which each could be asked for.
Does not belong here: what becomes of the queries (`golden_proposals.py`).

A known-item query is one of which the answer is known because it was made from it: a title, or
the opening of a text without one. It is easier than what people ask, but it is asked of content
that no other query is about. Documents are taken from the cells of the old reference's map that
grew most, in proportion to their growth, and within a cell the least like its anchors first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.lake.fragments import holding
from vector_platform.lake.joins import scan, spilling_duckdb
from vector_platform.lake.lake import Lake
from vector_platform.quality.references import Reference
from vector_platform.quality.sketches import vectors_of

Floats = npt.NDArray[np.float32]

# Contents of each side that are looked at.
SAMPLE = 2000
# Documents looked at for each query that is wanted: not every one has a text of its own.
SPARE = 3
LEAST_CHARACTERS, MOST_CHARACTERS = 8, 160


@dataclass(frozen=True)
class KnownItem:
    """A query made from a document.

    Attributes:
        doc_id: The document, which is the answer.
        tenant: Whose it is.
        text: Its title, or the opening of its text.
        novelty: 1 less the similarity of its passage to the nearest anchor of the old reference.
    """

    doc_id: str
    tenant: str
    text: str
    novelty: float


def known_items(
    lake: Lake, old: Reference, new: Reference, *, count: int, known: Sequence[str] = ()
) -> list[KnownItem]:
    """Queries for what the days of `new` hold and those of `old` do not explain.

    Args:
        lake: Where documents and vectors are.
        old: The reference that held before.
        new: The one that holds now, of the same model version.
        count: At most so many.
        known: Documents that are asked for already.

    Returns:
        The least explained of each cell first. The same lake gives the same queries.
    """
    before, now = _sample(lake, old, old), _sample(lake, old, new)
    if not before.num_rows or not now.num_rows:
        return []
    vectors = vectors_of(now.column("vector").combine_chunks())
    cells = (vectors @ old.map.cells.T).argmax(axis=1)
    normal = (vectors_of(before.column("vector").combine_chunks()) @ old.map.cells.T).argmax(axis=1)
    novelty = 1 - (vectors @ old.map.anchors.T).max(axis=1)
    seats = _seats(normal, cells, len(old.map.cells), count)
    doc_ids = [chunk_id.rpartition("#")[0] for chunk_id in now.column("chunk_id").to_pylist()]
    ranked = np.lexsort((-novelty, cells))
    candidates: dict[int, list[int]] = {}
    taken = set(known)
    for row in ranked.tolist():
        mine = candidates.setdefault(int(cells[row]), [])
        if len(mine) < SPARE * seats[cells[row]] and doc_ids[row] not in taken:
            taken.add(doc_ids[row])
            mine.append(row)
    texts = _texts(lake, [doc_ids[row] for rows in candidates.values() for row in rows])
    return [
        KnownItem(doc_ids[row], *texts[doc_ids[row]], round(float(novelty[row]), 4))
        for cell, rows in sorted(candidates.items())
        for row in [row for row in rows if doc_ids[row] in texts][: seats[cell]]
    ]


def texts_of(lake: Lake, doc_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Documents that are there, as (doc_id, tenant, title, body), in the order of their ids."""
    wanted = pa.array(doc_ids, pa.string())
    columns = ["doc_id", "tenant", "title", "body"]
    files = holding(lake.documents.dataset(), "doc_id", wanted)
    rows = files.to_table(columns, filter=pc.field("doc_id").cast(pa.string()).isin(wanted))
    return list(rows.sort_by("doc_id").to_pylist())


def opening_of(title: str, body: str) -> str:
    """How a text begins: its first sentence, at most half of the whole text, cut between words."""
    lines = body.strip().splitlines()
    # Markdown repeats the title as the first line.
    while lines and lines[0].strip(" #") in ("", title):
        lines.pop(0)
    text = "\n".join(lines)
    line = lines[0] if lines else ""
    ends = [at + 1 for mark in (". ", "? ", "! ", "。") if (at := line.find(mark)) > 0]
    opening = line[: min(ends)] if ends else line
    limit = min(MOST_CHARACTERS, len(text) // 2)
    if len(opening) > limit:
        words = opening[: limit + 1].rsplit(maxsplit=1)
        opening = words[0] if len(words) > 1 else opening[:limit]
    return opening.strip()


def _sample(lake: Lake, reference: Reference, days: Reference) -> pa.Table:
    first, last = days.days
    return lake.sample_of_days(
        reference.model_version, lake.dated_versions(), first=first, last=last, limit=SAMPLE
    )


def _seats(
    before: npt.NDArray[np.intp], now: npt.NDArray[np.intp], cells: int, count: int
) -> npt.NDArray[np.int64]:
    """How many queries each cell gets: by its growth; what rounding leaves goes to the largest."""
    grown = np.maximum(
        np.bincount(now, minlength=cells) / len(now)
        - np.bincount(before, minlength=cells) / len(before),
        0,
    )
    if not grown.any():
        return np.zeros(cells, np.int64)
    seats = np.floor(count * grown / grown.sum()).astype(np.int64)
    seats[grown.argmax()] += count - seats.sum()
    return np.asarray(seats, np.int64)


def _texts(lake: Lake, doc_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Document -> its tenant, and the text that asks for it and for no other of the tenant.

    A text that is too short or that other documents share finds any of them, so it says nothing.
    """
    found: dict[str, tuple[str, str]] = {}
    left = texts_of(lake, doc_ids) if doc_ids else []
    for is_same, text_of in (
        ("lower(d.title) = lower(t.text)", lambda row: row["title"]),
        ("contains(d.body, t.text)", lambda row: opening_of(row["title"], row["body"])),
    ):
        asked = [row | {"text": text_of(row)} for row in left]
        usable = [
            row
            for row in asked
            if len(row["text"]) >= LEAST_CHARACTERS and row["text"] != row["body"]
        ]
        for row in _told_apart(lake, usable, is_same):
            found[row["doc_id"]] = (row["tenant"], " ".join(row["text"].split()))
        left = [row for row in left if row["doc_id"] not in found]
    return found


def _told_apart(lake: Lake, rows: list[dict[str, Any]], is_same: str) -> list[dict[str, Any]]:
    """Those of the texts that one document of the tenant has alone."""
    if not rows:
        return []
    columns = pa.schema([(name, pa.string()) for name in ("doc_id", "tenant", "text")])
    with spilling_duckdb() as db:
        db.register("texts", pa.Table.from_pylist(rows, schema=columns))
        db.register("documents", scan(lake.documents.dataset(), ["tenant", "title", "body"]))
        alone = db.sql(
            f"""
            SELECT t.doc_id, t.tenant, t.text
            FROM texts t JOIN documents d ON d.tenant = t.tenant AND {is_same}
            GROUP BY ALL HAVING count(*) = 1
            """
        )
        return list(alone.to_arrow_table().to_pylist())
