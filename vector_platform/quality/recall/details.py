"""What there is to see about a recall: the curve over k, the reading, and neighbours that are lost.

Belongs here: telling a person what an index does not find. Examples cost one more pass over the
lake, for a few queries, and are looked for only when a slice is below the floor.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform.lake.storage.joins import scan, spilling_duckdb
from vector_platform.quality.exact import vectors_of
from vector_platform.quality.recall.index_queries import GOLDEN, NEW, OLD
from vector_platform.quality.recall.index_recall import Answers, IndexRecall
from vector_platform.quality.recall.intervals import Recall, recall_interval

# Queries shown of the worst slice, and neighbours shown that each has lost.
QUERIES = 3
NEIGHBOURS = 3


@dataclass(frozen=True)
class LostNeighbour:
    """A neighbour that exact search over the lake has, and the index does not return.

    Attributes:
        query: What was asked: the text.
        query_id: Row whose vector was asked; None for a golden query.
        recall: Share of the query's neighbours that the index returns.
        rank: Place of the neighbour among the exact ones, from 1.
        score: Its cosine to the query.
        id: Its row.
        tenant: Whose it is.
        embedded_at: When its vector came.
        age: Whether that is since the build of the generation.
        text: Of the neighbour.
    """

    query: str
    query_id: str | None
    recall: float
    rank: int
    score: float
    id: str
    tenant: str
    embedded_at: datetime
    age: str
    text: str


def recall_curve(answers: Answers, slice_name: str | None = None) -> list[Recall]:
    """Recall@1 to recall@k with intervals: of the stored rows, or of one slice."""
    weights = np.array(answers.queries.weights, np.float64)
    if slice_name is None:
        wanted = weights > 0
    else:
        wanted = np.array([slice_name in names for names in answers.queries.slices])
    wanted &= ~np.isnan(answers.recalls[:, -1])
    if not wanted.any():
        return []
    return [
        recall_interval(
            answers.recalls[wanted, at],
            k=at + 1,
            rows=weights[wanted] if slice_name is None else None,
        )
        for at in range(answers.k)
    ]


def reading(found: IndexRecall) -> str:
    """What the slices say of the reason, in words."""
    below = [each for each in found.slices if each.below]
    if not below:
        return "No slice of age and tenant is below the floor: the index finds what it holds."
    named = ", ".join(f"{each.name} ({each.recall.mean:.3f})" for each in below)
    by_name = {each.name: each.recall.mean for each in found.slices}
    names = {each.name for each in below}
    if names == {GOLDEN}:
        why = (
            "Stored rows find each other; what people ask for lies where a search does not look: "
            "too few cells or links are visited."
        )
    elif any(name.endswith(OLD) for name in names):
        why = (
            "Rows of the build are missed too, so age is not the reason: the parameters of the "
            "index are too coarse for what it holds."
        )
    elif any(name.endswith(NEW) for name in names):
        old = f" (rows of the build: {by_name[OLD]:.3f})" if OLD in by_name else ""
        why = (
            f"Stale: rows that came since the build are found less{old}. The cells or links of the "
            "index were made without them."
        )
    else:
        why = "Of some tenants everything is found less, old and new, and of the others nothing."
    return f"Below the floor of {found.floor:g}: {named}. {why}"


def lost_neighbours(
    lake: Lake,
    model_version: str,
    snapshot: Snapshot,
    answers: Answers,
    slice_name: str,
    *,
    built_at: datetime,
) -> list[LostNeighbour]:
    """Neighbours that the worst queries of a slice have lost, the nearest first.

    Args:
        lake: Where they are.
        model_version: Whose vectors.
        snapshot: What was searched.
        answers: What the index has answered.
        slice_name: Queries of which slice.
        built_at: When the generation was built.
    """
    recalls = answers.recalls[:, -1]
    members = [
        place
        for place, names in enumerate(answers.queries.slices)
        if slice_name in names and recalls[place] < 1
    ]
    worst = sorted(members, key=lambda place: (recalls[place], place))[:QUERIES]
    exact = _exact_rows(lake, model_version, snapshot, answers, worst)
    lost = {
        place: [
            (rank, score, row_id)
            for rank, (score, row_id) in enumerate(rows, start=1)
            if row_id not in answers.ids[place]
        ][:NEIGHBOURS]
        for place, rows in zip(worst, exact, strict=True)
    }
    own_ids = answers.queries.own_ids
    shown = {row_id for rows in lost.values() for _, _, row_id in rows}
    asked = {own for place in worst if (own := own_ids[place]) is not None}
    rows = _rows(lake, model_version, snapshot, shown | asked)
    return [
        LostNeighbour(
            query=_asked(answers, place, rows),
            query_id=own_ids[place],
            recall=float(recalls[place]),
            rank=rank,
            score=score,
            id=row_id,
            tenant=rows[row_id]["tenant"],
            embedded_at=rows[row_id]["embedded_at"],
            age=NEW if rows[row_id]["embedded_at"] > built_at else OLD,
            text=rows[row_id]["text"],
        )
        for place, found in lost.items()
        for rank, score, row_id in found
    ]


def _asked(answers: Answers, place: int, rows: dict[str, dict[str, Any]]) -> str:
    own = answers.queries.own_ids[place]
    return str(rows[own]["text"]) if own is not None else answers.queries.texts[place]


def _exact_rows(
    lake: Lake, model_version: str, snapshot: Snapshot, answers: Answers, places: Sequence[int]
) -> list[list[tuple[float, str]]]:
    """The k nearest rows of a few queries, exactly, best first; as `recall_of` counts them."""
    queries, k = answers.queries, answers.k
    vectors = queries.vectors[list(places)]
    best: list[list[tuple[float, str]]] = [[] for _ in places]
    dimension = lake.model_version(model_version).dimension
    for batch in lake.index_rows(model_version, snapshot):
        ids, owners = batch.column("id"), batch.column("tenant")
        scores = vectors @ vectors_of(batch, dimension).T
        for line, place in enumerate(places):
            tenant = queries.tenants[place]
            there = np.ones(len(ids), bool)
            if tenant is not None:
                there = pc.equal(owners, tenant).to_numpy(zero_copy_only=False)
            mine = np.where(there, scores[line], -np.inf)
            # One more than asked for, since the query's own row is no neighbour of it.
            for row in np.argsort(-mine, kind="stable")[: k + 1]:
                row_id = ids[int(row)].as_py()
                if there[row] and row_id != queries.own_ids[place]:
                    best[line].append((float(mine[row]), row_id))
            best[line] = heapq.nsmallest(k, best[line], key=lambda each: (-each[0], each[1]))
    return best


def _rows(
    lake: Lake, model_version: str, snapshot: Snapshot, ids: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Tenant, text and the time of the vector of some rows, by id."""
    wanted = pa.table({"id": pa.array(sorted(ids), pa.string())})
    if not wanted.num_rows:
        return {}
    texts = {
        row["id"]: row
        for batch in lake.index_rows(model_version, snapshot, ids=wanted)
        for row in batch.select(["id", "tenant", "text"]).to_pylist()
    }
    with spilling_duckdb() as db:
        db.register("wanted", wanted)
        chunks = lake.chunks.dataset(snapshot.chunks)
        db.register("chunks", scan(chunks, ["chunk_id", "content_hash"]))
        vectors = lake.vectors(model_version, snapshot.embeddings)
        db.register("vectors", scan(vectors, ["content_hash", "embedded_at"]))
        times = db.sql(
            "SELECT w.id, v.embedded_at FROM wanted w JOIN chunks c ON c.chunk_id = w.id "
            "JOIN vectors v USING (content_hash)"
        ).to_arrow_table()
    return {
        row["id"]: texts[row["id"]] | {"embedded_at": row["embedded_at"]}
        for row in times.to_pylist()
    }
