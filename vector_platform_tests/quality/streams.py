"""Streams of dated texts in a real lake: documents, their chunks, and vectors of their topics.

Belongs here: making days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from vector_platform.lake.contract import DOCUMENTS
from vector_platform.lake.lake import Lake
from vector_platform.quality.drift.calibration import first_reference
from vector_platform.quality.sketches.daily import sync_sketches
from vector_platform_tests.lake.building import MODEL, append_vectors, chunk, chunks, register

DIMENSION = 32
FIRST = date(2026, 1, 5)
EPOCH = date(1970, 1, 1)


def topics(seed: int, count: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


HOME, ABROAD = topics(1, 12), topics(2, 2)
WORDS = [f"{a}{b}{c}" for a in "bdfgl" for b in "aeiou" for c in "mnrst"]


def vectors(rng: np.random.Generator, count: int, centres: np.ndarray = HOME) -> np.ndarray:
    """Unit vectors around topics, as spread out as those of real texts."""
    chosen = centres[rng.integers(0, len(centres), count)]
    drawn = chosen + 0.8 * rng.standard_normal(chosen.shape) / np.sqrt(chosen.shape[1])
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def texts(rng: np.random.Generator, count: int) -> list[str]:
    return [" ".join(rng.choice(WORDS, 12)) for _ in range(count)]


def mixed(rng: np.random.Generator, count: int, share: float) -> np.ndarray:
    """Vectors of which a share is from abroad."""
    foreign = round(share * count)
    return np.concatenate([vectors(rng, count - foreign), vectors(rng, foreign, ABROAD)])


class Stream:
    """A lake that receives documents day by day."""

    def __init__(self, lake: Lake, *, made: int = 0) -> None:
        self.lake = lake
        self.rng = np.random.default_rng(made)
        self.made = made
        register(lake, dimension=DIMENSION)

    def add(
        self, day: int, rows: np.ndarray, *, tenant: str = "acme", source: str = "s"
    ) -> list[str]:
        """Documents of one chunk each, as of a day. Returns their ids."""
        return self.add_days({day: rows}, tenant=tenant, source=source)

    def add_days(
        self, days: dict[int, np.ndarray], *, tenant: str = "acme", source: str = "s"
    ) -> list[str]:
        """The same for several days, in one commit of each table."""
        documents, passages, found = [], [], {}
        for day, rows in days.items():
            for text, vector in zip(texts(self.rng, len(rows)), rows, strict=True):
                self.made += 1
                row = chunk(f"{source}:{self.made:06d}", f"{text} {self.made}", tenant=tenant)
                passages.append(row)
                documents.append(document(row["doc_id"], day, tenant=tenant, body=row["text"]))
                found[row["content_hash"]] = vector
        append_vectors(self.lake, MODEL, found)
        self.lake.documents.merge(pa.Table.from_pylist(documents, schema=DOCUMENTS.schema))
        self.lake.chunks.merge(chunks(passages))
        return [row["doc_id"] for row in documents]

    def move(self, doc_ids: Sequence[str], day: int) -> None:
        """Documents that change on another day, without a change of text."""
        rows = [document(doc_id, day) for doc_id in doc_ids]
        self.lake.documents.merge(pa.Table.from_pylist(rows, schema=DOCUMENTS.schema))

    def delete(self, doc_ids: Sequence[str]) -> None:
        self.lake.documents.merge(None, [(doc_id,) for doc_id in doc_ids])
        self.lake.chunks.merge(None, [(f"{doc_id}#0",) for doc_id in doc_ids])


def sketch(lake: Lake, reference_days: int) -> None:
    """Bring the sketches up to the lake, with its first days as the reference."""
    versions = lake.versions_by_day()
    reference = first_reference(lake, MODEL, versions, days=reference_days, run_id="r")
    assert reference is not None
    sync_sketches(lake, reference, versions, run_id="r")


def document(
    doc_id: str, day: int, *, tenant: str = "acme", title: str = "", body: str = "body"
) -> dict[str, Any]:
    return {
        "doc_id": doc_id,
        "source": doc_id.partition(":")[0],
        "key": doc_id.partition(":")[2],
        "tenant": tenant,
        "region": "global",
        "title": title,
        "body": body,
        "attributes": "{}",
        "updated_at": datetime.combine(date_of(day), datetime.min.time(), UTC)
        + timedelta(hours=13),
        "duplicate_of": None,
        "row_hash": "0",
        "uri": "u",
        "run_id": "r",
        "ingested_at": datetime(2030, 1, 1, tzinfo=UTC),
    }


def date_of(day: int) -> date:
    return FIRST + timedelta(days=day)


# Of `with_news`: days as usual, and days that are also about something new.
USUAL_DAYS, NEWS_DAYS = range(28), range(28, 62)


def with_news(lake: Lake) -> Stream:
    """A stream that is joined on its 29th day by something new, of two tenants."""
    stream = Stream(lake)
    stream.add_days({day: vectors(stream.rng, 20) for day in (*USUAL_DAYS, *NEWS_DAYS)})
    for tenant in ("acme", "bolt"):
        news = {day: vectors(stream.rng, 6, ABROAD) for day in NEWS_DAYS}
        stream.add_days(news, tenant=tenant, source="new")
    return stream
