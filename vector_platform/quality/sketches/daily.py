"""Drift sketches: rows and sums of features, a day, tenant and source at a time.

Belongs here: keeping the table `drift_sketches` equal to the lake.

The table is a function of chunks, documents and vectors, under a feature map. A sync adds what
came since the last one and subtracts what went, a document that moves to another day does both;
what a commit was made from is kept in the commit itself, so a killed sync leaves nothing behind
and one that is repeated writes nothing. Where the change feeds do not reach back, or a vector to
subtract has been erased, everything is counted anew. Sums of grid values are exact, so both ways
give the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.lake.contract import DRIFT_SKETCHES
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import SnapshotIncomplete, VersionsByDay
from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.storage.table_reader import HistoryUnavailable
from vector_platform.quality.sketches.references import EPOCH, Reference

Floats = npt.NDArray[np.float64]

# How far back the newest sync is looked for among commits of other model versions and of upkeep.
_HISTORY = 200

# Day, tenant, source.
Key = tuple[int, str, str]


@dataclass(frozen=True)
class Sketch:
    """Rows, and the sum of their features."""

    rows: int
    sums: Floats

    def __add__(self, other: Sketch) -> Sketch:
        return Sketch(self.rows + other.rows, self.sums + other.sums)

    def __sub__(self, other: Sketch) -> Sketch:
        return Sketch(self.rows - other.rows, self.sums - other.sums)


@dataclass(frozen=True)
class SketchReport:
    """What a sync did.

    Attributes:
        sketched_rows: Chunks added or subtracted.
        sketches_written: Sketches written or removed.
        recounted: Whether everything was counted anew.
    """

    sketched_rows: int
    sketches_written: int
    recounted: bool


@dataclass(frozen=True)
class _Origin:
    """What the sketches of a commit were made from."""

    sketches_of: str
    map_version: str
    chunks_id: str
    chunks: int
    documents_id: str
    documents: int

    def metadata(self, run_id: str) -> dict[str, str]:
        return {"run_id": run_id, **{name: str(value) for name, value in asdict(self).items()}}

    @property
    def versions(self) -> VersionsByDay:
        return VersionsByDay(self.chunks_id, self.chunks, self.documents_id, self.documents)

    @classmethod
    def newest(cls, lake: Lake, model_version: str) -> _Origin | None:
        for commit in lake.drift_sketches.history(_HISTORY):
            if commit.get("sketches_of") == model_version:
                facts = {name: commit[name] for name in cls.__dataclass_fields__}
                versions = {name: int(facts[name]) for name in ("chunks", "documents")}
                return cls(**facts | versions)
        return None


def sync_sketches(
    lake: Lake, reference: Reference, versions: VersionsByDay, *, run_id: str
) -> SketchReport:
    """Make the sketches of a model version those of its chunks, in one commit.

    Args:
        lake: Where everything is.
        reference: Whose model version and feature map.
        versions: Chunks and documents to count; every content of them has a vector.
        run_id: Goes into the commit.

    Raises:
        SnapshotIncomplete: A chunk has no vector yet.
    """
    now = _Origin(reference.model_version, reference.map.version, **asdict(versions))
    last = _Origin.newest(lake, reference.model_version)
    if last == now:
        return SketchReport(0, 0, False)
    if last is not None and last.map_version == now.map_version:
        try:
            return _update(lake, reference, last.versions, now, run_id)
        except (HistoryUnavailable, SnapshotIncomplete):
            # Counting anew says whether a chunk lacks its vector or an old one was erased.
            pass
    return _recount(lake, reference, now, run_id)


def _update(
    lake: Lake, reference: Reference, after: VersionsByDay, now: _Origin, run_id: str
) -> SketchReport:
    batches = lake.contents_by_day(reference.model_version, now.versions, after=after)
    changes, rows = _sketched(batches, reference)
    if not changes:
        return SketchReport(rows, 0, False)
    stored = _stored(lake, reference.model_version, [key[0] for key in changes])
    kept, gone = {}, []
    for key, change in changes.items():
        sketch = stored[key] + change if key in stored else change
        if sketch.rows > 0:
            kept[key] = sketch
        else:
            gone.append((reference.model_version, _date(key[0]), *key[1:]))
    lake.drift_sketches.merge(_table(reference, kept), gone, now.metadata(run_id))
    return SketchReport(rows, len(changes), False)


def _recount(lake: Lake, reference: Reference, now: _Origin, run_id: str) -> SketchReport:
    batches = lake.contents_by_day(reference.model_version, now.versions)
    sketches, rows = _sketched(batches, reference)
    lake.drift_sketches.replace(
        _table(reference, sketches),
        f"model_version = '{reference.model_version}'",
        now.metadata(run_id),
    )
    return SketchReport(rows, len(sketches), True)


def _sketched(
    batches: Iterator[pa.RecordBatch], reference: Reference
) -> tuple[dict[Key, Sketch], int]:
    """The sketch of every day, tenant and source of some contents, and how many rows those are.

    Contents of the calibration slice are left out: the map knows them too well.
    """
    known = pa.array(reference.calibration, pa.string())
    sketches: dict[Key, Sketch] = {}
    rows = 0
    for batch in batches:
        batch = batch.filter(pc.invert(pc.is_in(batch.column("content_hash"), value_set=known)))
        if batch.num_rows == 0:
            continue
        vectors = every_vector_of(batch, reference.model_version)
        features = reference.map(vectors, batch.column("text").to_pylist()).astype(np.float64)
        copies = batch.column("copies").to_numpy()
        rows += int(np.abs(copies).sum())
        places: dict[Key, list[int]] = {}
        keys = zip(*(batch.column(name).to_pylist() for name in _KEY), strict=True)
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        for key, mine in places.items():
            sums = (features[mine] * copies[mine, None]).sum(axis=0)
            sketch = Sketch(int(copies[mine].sum()), sums)
            sketches[key] = sketches[key] + sketch if key in sketches else sketch
    return {key: each for key, each in sketches.items() if each.rows or each.sums.any()}, rows


_KEY = ("day", "tenant", "source")


def every_vector_of(batch: pa.RecordBatch, model_version: str) -> npt.NDArray[np.float32]:
    """The vectors of a batch of contents.

    Raises:
        SnapshotIncomplete: A content has no vector yet.
    """
    column = batch.column("vector")
    if column.null_count:
        raise SnapshotIncomplete(
            f"{column.null_count} content(s) have no vector under {model_version}: materialise "
            "lake/embeddings for it first"
        )
    return vectors_of(column)


def vectors_of(column: pa.Array) -> npt.NDArray[np.float32]:
    """A list column as a matrix; of no rows, one of no columns."""
    values = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32)
    return values.reshape(len(column), len(values) // max(len(column), 1))


def _stored(lake: Lake, model_version: str, days: Sequence[int]) -> dict[Key, Sketch]:
    where: list[Condition] = [
        ("model_version", "==", model_version),
        ("day", "in", [_date(day) for day in sorted(set(days))]),
    ]
    rows = lake.drift_sketches.read(["day", "tenant", "source", "rows", "sums"], where=where)
    return {
        ((row["day"] - EPOCH).days, row["tenant"], row["source"]): Sketch(
            row["rows"], np.array(row["sums"])
        )
        for row in rows.to_pylist()
    }


def _table(reference: Reference, sketches: dict[Key, Sketch]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "model_version": reference.model_version,
                "day": _date(day),
                "tenant": tenant,
                "source": source,
                "map_version": reference.map.version,
                "rows": sketch.rows,
                "sums": sketch.sums,
            }
            for (day, tenant, source), sketch in sorted(sketches.items())
        ],
        schema=DRIFT_SKETCHES.schema,
    )


def _date(day: int) -> date:
    return EPOCH + timedelta(days=day)
