"""Proof that an index equals a lake snapshot: every id and digest, and a sample of vectors.

Belongs here: reading an index back and comparing. Does not belong here: changing it, or how large
a sample is (`row_sample.py`). Counts and ledgers prove nothing; the rows themselves are read.

`verify` reads all of an index in one scan, and counts tenants through the filter that queries use:
where a count is not what it should be, that tenant is read through the filter, too, and what the
filter hides is missing. `verify_changes` reads what a sync has touched, all vectors included, and
looks for what it did not intend: totals, tenants' counts, and a sample of other rows. What it
costs follows the change and the number of tenants, not the rows of the index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, RowKey
from vector_platform.indexes.digest_sample import EVERY_DIGEST, DigestSample
from vector_platform.indexes.plan import compare
from vector_platform.indexes.rejected import without
from vector_platform.indexes.row_sample import SAMPLED_ROWS, sample_sizes, tenants_to_count
from vector_platform.indexes.verification import Verification
from vector_platform.lake.derive import NO_KEYS
from vector_platform.lake.lake import Lake, Snapshot

# Stored vectors are float32; a backend that normalises again moves them by a few ulp.
VECTOR_TOLERANCE = 1e-5


def verify(
    lake: Lake,
    target: VectorIndex,
    generation: Generation,
    snapshot: Snapshot,
    *,
    excused: Mapping[RowKey, str] | None = None,
    sample: DigestSample = EVERY_DIGEST,
    seed: str = "",
    vectors: int | None = SAMPLED_ROWS,
) -> Verification:
    """Compare a generation with a snapshot. Reads only; memory is bounded by the difference.

    Rows that the backend has refused (`excused`, see `rejected.py`) are not expected in it. All
    ids are listed; digests are those of the `sample`, where a backend cannot read all for free.

    Args:
        lake: Where desired state is.
        target: The backend.
        generation: What is read back.
        snapshot: What it is to be equal to.
        excused: Refused rows: (id, tenant) -> digest.
        sample: Digests that are read.
        seed: Decides which vectors, and which tenants where there are many, are looked at.
        vectors: How many vectors are looked at; None for all.
    """
    excused = excused or {}
    expected = _expected_counts(lake, snapshot, excused)
    counted = tenants_to_count(expected, changed=(), seed=seed)
    plan = compare(
        without(lake.index_keys(generation.model_version, snapshot), excused),
        _as_readers_see(target, generation, sample, expected, counted),
    )
    rows = None
    if vectors is not None:
        sizes = sample_sizes(expected, first=(), seed=seed, budget=vectors)
        rows = lake.sample_keys(
            generation.model_version, snapshot, sizes, besides=NO_KEYS, seed=seed
        )
    compared, differing = _vectors(lake, target, generation, snapshot, rows, excused)
    return Verification(plan, snapshot, compared, differing, len(excused))


def verify_changes(
    lake: Lake,
    target: VectorIndex,
    generation: Generation,
    snapshot: Snapshot,
    *,
    now: pa.Table,
    before: pa.Table,
    excused: Mapping[RowKey, str] | None = None,
    seed: str = "",
    others: int = SAMPLED_ROWS,
) -> Verification:
    """Compare the rows that changed with a snapshot, and see that nothing else has happened.

    Args:
        lake: Where desired state is.
        target: The backend.
        generation: What was synced.
        snapshot: What it was synced to.
        now: `INDEX_KEY` rows that changed, as they are in the snapshot.
        before: `INDEX_KEY` rows that changed, as they were.
        excused: Refused rows, see `verify`.
        seed: Decides which other rows, and which tenants where there are many, are looked at.
        others: How many rows are looked at that did not change.
    """
    excused = excused or {}
    touched = pa.concat_tables([now, before]).group_by(["id", "tenant"]).aggregate([])
    changed = set(touched.column("tenant").to_pylist())
    expected = _expected_counts(lake, snapshot, excused)
    sizes = sample_sizes(expected, first=changed, seed=seed, budget=others)
    sampled = lake.sample_keys(
        generation.model_version, snapshot, sizes, besides=touched, seed=seed
    )
    desired = pa.concat_tables([now.select(NO_KEYS.column_names), sampled])
    asked = [*_names(touched), *_names(sampled)]
    plan = compare(without(iter(desired.to_batches()), excused), target.find(generation, asked))
    compared, differing = _vectors(lake, target, generation, snapshot, desired, excused)
    counted = tenants_to_count(expected, changed=changed, seed=seed)
    return Verification(
        plan,
        snapshot,
        compared,
        differing,
        len(excused),
        "changes",
        sampled.num_rows,
        _miscounted(target, generation, expected, counted),
    )


def _expected_counts(
    lake: Lake, snapshot: Snapshot, excused: Mapping[RowKey, str]
) -> dict[str, int]:
    refused = Counter(tenant for _, tenant in excused)
    return {tenant: n - refused[tenant] for tenant, n in lake.count_tenants(snapshot).items()}


def _miscounted(
    target: VectorIndex,
    generation: Generation,
    expected: Mapping[str, int],
    tenants: Collection[str],
) -> list[str]:
    """What holds another number of rows than it should: the generation, then tenants."""
    wanted = {"all tenants": sum(expected.values())}
    found = {"all tenants": target.count(generation)}
    wanted |= {f"tenant {tenant!r}": expected.get(tenant, 0) for tenant in tenants}
    counts = target.counts(generation, sorted(tenants))
    found |= {f"tenant {tenant!r}": rows for tenant, rows in counts.items()}
    return [
        f"{name} {found.get(name, 0)} rows instead of {rows}"
        for name, rows in wanted.items()
        if found.get(name, 0) != rows
    ]


def _as_readers_see(
    target: VectorIndex,
    generation: Generation,
    sample: DigestSample,
    expected: Mapping[str, int],
    counted: Collection[str],
) -> Iterator[pa.RecordBatch]:
    """All rows in one scan; of tenants whose filter shows another number, what the filter shows."""
    counts = target.counts(generation, sorted(counted))
    odd = sorted(tenant for tenant in counted if counts.get(tenant, 0) != expected[tenant])
    names = pa.array(odd, pa.string())
    for batch in target.scan(generation, sample=sample):
        yield batch.filter(pc.invert(pc.is_in(batch.column("tenant"), names))) if odd else batch
    for tenant in odd:
        yield from target.keys(generation, tenant, sample=sample)


def _vectors(
    lake: Lake,
    target: VectorIndex,
    generation: Generation,
    snapshot: Snapshot,
    rows: pa.Table | None,
    excused: Mapping[RowKey, str],
) -> tuple[int, list[str]]:
    """Read the vectors of some rows (a column `id`), or of all, and compare them with the lake's.

    Returns:
        Vectors compared, and ids of those that are missing or differ, sorted.
    """
    compared = 0
    differing: list[str] = []
    if rows is not None and not rows.num_rows:
        return compared, differing
    for batch in lake.index_rows(
        generation.model_version,
        snapshot,
        ids=rows,
        by_tenant=target.tenants_apart and rows is not None,
    ):
        keys = _names(batch)
        digests = batch.column("digest").to_pylist()
        wanted = [
            place
            for place, (key, digest) in enumerate(zip(keys, digests, strict=True))
            if excused.get(key) != digest
        ]
        stored = target.vectors(generation, [keys[place] for place in wanted])
        for place in wanted:
            vector = batch.column("vector")[place].values.to_numpy()
            found = stored.get(keys[place])
            if found is None or not _same(found, vector):
                differing.append(keys[place][0])
        compared += len(wanted)
    return compared, sorted(differing)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    # Written so that a NaN is a difference.
    return bool(np.abs(one - other).max(initial=0) <= VECTOR_TOLERANCE)


def _names(rows: pa.Table | pa.RecordBatch) -> list[RowKey]:
    return list(zip(rows.column("id").to_pylist(), rows.column("tenant").to_pylist(), strict=True))
