"""Known-item queries for content that a reference does not explain: which documents, which words.

Belongs here: choosing documents of some days, and the text by which each could be asked for.

A known-item query is one of which the answer is known because it was made from it: a title, or
the opening of a text without one. It is easier than what people ask, but it is asked of content
that no other query is about. Contents are grouped by the cells of the old reference's map, and by
whether they are stranger to its anchors than nearly all that it was fitted for: something new
makes strange groups grow, a topic that is asked for more often usual ones. Documents are taken
from groups that have grown beyond chance, in proportion to their growth, the strangest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.fragments import holding
from vector_platform.lake.storage.joins import scan, spilling_duckdb
from vector_platform.quality.sketches.daily import vectors_of
from vector_platform.quality.sketches.feature_map import FeatureMap
from vector_platform.quality.sketches.references import Reference

Floats = npt.NDArray[np.float32]

# Contents of each side that are looked at.
SAMPLE = 2000
# Documents looked at for each query that is wanted: not every one has a text of its own.
SPARE = 3
# Share of the old reference's own contents that is no stranger than what counts as usual.
USUAL = 0.95
# Standard deviations that the share of a group must have grown by: of a hundred groups, hardly one
# does so by chance.
CLEARLY = 3
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
        Those of the group that grew most first. The same lake gives the same queries.
    """
    before, now = _sample(lake, old, old), _sample(lake, old, new)
    # The anchors are of these contents, so nothing is less strange.
    fitted = pa.array(old.calibration, pa.string())
    before = before.filter(pc.invert(pc.is_in(before.column("content_hash"), value_set=fitted)))
    if not before.num_rows or not now.num_rows:
        return []
    normal, found = _placed(old.map, before), _placed(old.map, now)
    strange = float(np.quantile(normal.novelty, USUAL))
    seats = _seats(normal.groups(strange), found.groups(strange), count)
    doc_ids = [chunk_id.rpartition("#")[0] for chunk_id in now.column("chunk_id").to_pylist()]
    candidates: dict[int, list[int]] = {group: [] for group in seats}
    taken = set(known)
    groups = found.groups(strange)
    for row in np.argsort(-found.novelty, kind="stable").tolist():
        mine = candidates.get(int(groups[row]))
        if mine is None or doc_ids[row] in taken or len(mine) >= SPARE * seats[int(groups[row])]:
            continue
        taken.add(doc_ids[row])
        mine.append(row)
    texts = _texts(lake, [doc_ids[row] for rows in candidates.values() for row in rows])
    return [
        KnownItem(doc_ids[row], *texts[doc_ids[row]], round(float(found.novelty[row]), 4))
        for group, rows in candidates.items()
        for row in [row for row in rows if doc_ids[row] in texts][: seats[group]]
    ]


def texts_of(lake: Lake, doc_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Documents that are there, as (doc_id, tenant, title, body), in the order of their ids."""
    wanted = pa.array(doc_ids, pa.string())
    columns = ["doc_id", "tenant", "title", "body"]
    files = holding(lake.documents.dataset(), "doc_id", wanted)
    rows = files.to_table(columns, filter=pc.field("doc_id").cast(pa.string()).isin(wanted))
    return list(rows.sort_by("doc_id").to_pylist())


def opening_of(title: str, body: str, *, sentence: bool = True) -> str:
    """How a text begins: its first sentence, or its first line; at most half of the whole text.

    Cut between words, and at `MOST_CHARACTERS`.
    """
    lines = body.strip().splitlines()
    # Markdown repeats the title as the first line.
    while lines and lines[0].strip(" #") in ("", title):
        lines.pop(0)
    opening = lines[0] if lines else ""
    ends = [at + 1 for mark in (". ", "? ", "! ", "。") if (at := opening.find(mark)) > 0]
    if sentence and ends:
        opening = opening[: min(ends)]
    limit = min(MOST_CHARACTERS, len("\n".join(lines)) // 2)
    if len(opening) > limit:
        words = opening[: limit + 1].rsplit(maxsplit=1)
        opening = words[0] if len(words) > 1 else opening[:limit]
    return opening.strip()


def _sample(lake: Lake, reference: Reference, days: Reference) -> pa.Table:
    first, last = days.days
    return lake.sample_of_days(
        reference.model_version, lake.versions_by_day(), first=first, last=last, limit=SAMPLE
    )


@dataclass(frozen=True, eq=False)
class _Placed:
    """Where contents are on a map.

    Attributes:
        cells: The nearest cell of each.
        novelty: 1 less the similarity to the nearest anchor.
    """

    cells: npt.NDArray[np.intp]
    novelty: Floats

    def groups(self, strange: float) -> npt.NDArray[np.intp]:
        """A number for the cell of each, and for whether it is stranger than that."""
        return np.asarray(2 * self.cells + (self.novelty > strange), np.intp)


def _placed(map_: FeatureMap, sample: pa.Table) -> _Placed:
    vectors = vectors_of(sample.column("vector").combine_chunks())
    novelty = 1 - (vectors @ map_.anchors.T).max(axis=1)
    return _Placed((vectors @ map_.cells.T).argmax(axis=1), novelty)


def _seats(before: npt.NDArray[np.intp], now: npt.NDArray[np.intp], count: int) -> dict[int, int]:
    """How many queries each group gets that has grown beyond chance: in proportion to its growth.

    What rounding leaves goes to the group that grew most.
    """
    groups = int(max(before.max(), now.max())) + 1
    old, new = (np.bincount(side, minlength=groups) for side in (before, now))
    grown = new / len(now) - old / len(before)
    # One more than was seen: of what has never come before, a few may.
    normal = (old + 1) / len(before)
    chance = np.sqrt(normal * (1 / len(before) + 1 / len(now)))
    grown[grown <= CLEARLY * chance] = 0
    if not grown.any():
        return {}
    seats = np.floor(count * grown / grown.sum()).astype(np.int64)
    seats[grown.argmax()] += count - seats.sum()
    return {int(group): int(seats[group]) for group in np.argsort(-grown) if seats[group]}


def _texts(lake: Lake, doc_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Document -> its tenant, and the text that asks for it and for no other of the tenant.

    A text that is too short or that other documents share finds any of them, so it says nothing.
    """
    found: dict[str, tuple[str, str]] = {}
    left = texts_of(lake, doc_ids) if doc_ids else []
    for is_same, text_of in (
        ("lower(d.title) = lower(t.text)", lambda row: row["title"]),
        ("contains(d.body, t.text)", lambda row: opening_of(row["title"], row["body"])),
        (
            "contains(d.body, t.text)",
            lambda row: opening_of(row["title"], row["body"], sentence=False),
        ),
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
