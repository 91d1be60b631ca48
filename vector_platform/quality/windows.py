"""Which vectors are normal and which are new: the two samples of a drift test, from the lake.

Belongs here: choosing and reading the samples. Does not belong here: the test (`drift.py`).

The rule: runs of the embeddings partition are ordered by their last `embedded_at`. The newest
runs, as few as hold `min_rows` contents together, are *current*; everything before is the
*reference*. So the answer changes only when something has been embedded, a small batch waits
for the next one and is judged with it, and an accepted batch becomes reference by being followed.
A vector belongs to a content, so an old text that returns, or a changed price, is not new.

A side is sampled by the smallest content hashes. These are cryptographic hashes of the texts,
which makes the sample as good as random, the same every time, and cheap to read: producers write
contents in the order of their hashes, so Parquet statistics skip what is not wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.lake.conditions import Condition
from vector_platform.lake.lake import Lake
from vector_platform.quality.drift import DriftResult, two_sample
from vector_platform.quality.features import MAX_ROWS

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """Vectors of one side.

    Attributes:
        vectors: Shape (rows, dimension), float32; at most `MAX_ROWS` rows.
        content_hashes: Whose vectors they are.
        total: Contents the side has, sampled or not.
        runs: Runs that embedded them, oldest first.
    """

    vectors: Floats
    content_hashes: tuple[str, ...]
    total: int
    runs: tuple[str, ...]


def reference_and_current(
    lake: Lake, model_version: str, *, min_rows: int, embeddings_version: int | None = None
) -> tuple[Sample, Sample]:
    """The two samples of a model version.

    Args:
        lake: Where the vectors are.
        model_version: Partition of the embeddings.
        min_rows: Contents that the current side must have before older runs stop joining it.
        embeddings_version: Version of the table; the newest when None.

    Returns:
        (reference, current). The reference is empty while all runs together are one window.
    """
    dimension = lake.model_version(model_version).dimension
    partition: Condition = ("model_version", "==", model_version)
    version = lake.embeddings.version() if embeddings_version is None else embeddings_version
    facts = lake.embeddings.read(
        ["run_id", "embedded_at", "content_hash"], where=[partition], version=version
    )
    runs = (
        facts.group_by("run_id")
        .aggregate([("embedded_at", "max"), ("content_hash", "count")])
        .sort_by([("embedded_at_max", "descending"), ("run_id", "descending")])
        .to_pylist()
    )
    held, newest = 0, 0
    while newest < len(runs) and held < min_rows:
        held += runs[newest]["content_hash_count"]
        newest += 1
    sides = (runs[newest:], runs[:newest])
    reference, current = (
        _sample(
            lake,
            facts,
            tuple(run["run_id"] for run in reversed(side)),
            partition,
            version,
            dimension,
        )
        for side in sides
    )
    return reference, current


def measure_drift(
    lake: Lake,
    model_version: str,
    *,
    alpha: float,
    min_rows: int,
    embeddings_version: int | None = None,
    seed: int = 0,
) -> DriftResult:
    """Test the newest embeddings of a model version against all before; `farthest` are hashes."""
    sides = reference_and_current(
        lake, model_version, min_rows=min_rows, embeddings_version=embeddings_version
    )
    return judge(*sides, alpha=alpha, min_rows=min_rows, seed=seed)


def judge(
    reference: Sample, current: Sample, *, alpha: float, min_rows: int, seed: int = 0
) -> DriftResult:
    """Test two samples that have been read; `farthest` are content hashes."""
    return two_sample(
        reference.vectors,
        current.vectors,
        alpha=alpha,
        seed=seed,
        min_rows=min_rows,
        current_ids=current.content_hashes,
    )


def _sample(
    lake: Lake,
    facts: pa.Table,
    runs: tuple[str, ...],
    partition: Condition,
    version: int,
    dimension: int,
) -> Sample:
    # A list without runs has no type, so the filter takes the column's.
    values = pa.array(runs, pa.string())
    mine = facts.filter(pc.field("run_id").isin(values)).column("content_hash")
    if len(mine) == 0:
        return Sample(np.empty((0, dimension), np.float32), (), 0, runs)
    wanted = pc.take(mine, pc.array_sort_indices(mine)[:MAX_ROWS])
    rows = lake.embeddings.read(
        ["content_hash", "vector"],
        where=[
            partition,
            ("run_id", "in", values),
            ("content_hash", "<=", wanted[-1].as_py()),
        ],
        version=version,
    ).sort_by("content_hash")
    vectors = pc.list_flatten(rows.column("vector")).to_numpy()
    return Sample(
        np.asarray(vectors, np.float32).reshape(len(rows), dimension),
        tuple(rows.column("content_hash").to_pylist()),
        len(mine),
        runs,
    )
