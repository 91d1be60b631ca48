"""Proof that an index equals a lake snapshot: every id and digest, and rows read whole.

Belongs here: reading an index back and comparing. Counts and ledgers prove nothing; the rows
themselves are read.

`verify` reads all of an index in one scan, and counts tenants through the filter that queries use:
where a count is not what it should be, that tenant is read through the filter, too, and what the
filter hides is missing. `verify_changes` reads what a sync has touched, whole, and
looks for what it did not intend: totals, tenants' counts, and a sample of other rows. What it
costs follows the change and the number of tenants, not the rows of the index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation, RowKey, StoredRow
from vector_platform.indexes.plan import Plan, compare
from vector_platform.indexes.proof.row_contents import differing_fields, wanted_rows
from vector_platform.indexes.proof.row_sample import SAMPLED_ROWS, sample_sizes, tenants_to_count
from vector_platform.indexes.proof.verification import Verification
from vector_platform.indexes.proof_sample import EVERY_DIGEST, ProofSample, WholeRows
from vector_platform.indexes.rejected import without
from vector_platform.lake.derived.index_rows import NO_KEYS
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot

# Rows that are read whole at once, as the lake counts their bytes: a quarter of the largest message
# that any backend takes.
READ_BYTES: Final = 16 * 2**20


def verify(
    lake: Lake,
    target: VectorIndex,
    generation: Generation,
    snapshot: Snapshot,
    *,
    excused: Mapping[RowKey, str] | None = None,
    sample: ProofSample = EVERY_DIGEST,
    seed: str = "",
    whole: ProofSample = EVERY_DIGEST,
    others: int = SAMPLED_ROWS,
) -> Verification:
    """Compare a generation with a snapshot. Reads only; memory is bounded by the difference.

    Rows that the backend has refused (`excused`, see `indexes/rejected.py`) are not expected in it.
    All ids are listed; digests are those of the `sample`, where a backend cannot read all for free.
    A digest tells what a row was made from; what it holds is told by reading it whole: those
    whose turn it is, and some others.

    Args:
        lake: Where desired state is.
        target: The backend.
        generation: What is read back.
        snapshot: What it is to be equal to.
        excused: Refused rows: (id, tenant) -> digest.
        sample: Digests that are read.
        seed: Decides which others, and which tenants where there are many, are looked at.
        whole: Rows that are read whole because it is their turn.
        others: How many more are read whole, others each time.
    """
    excused = excused or {}
    expected = _expected_counts(lake, snapshot, excused)
    counted = tenants_to_count(expected, changed=(), seed=seed)
    in_turn: list[str] = []
    read, desired = WholeRows(), lake.index_keys(generation.model_version, snapshot)
    rows = None
    if whole.everything:
        read.want_all()
    else:
        sizes = sample_sizes(expected, first=(), seed=seed, budget=others)
        rows = lake.sample_keys(
            generation.model_version, snapshot, sizes, besides=NO_KEYS, seed=seed
        )
        read.want(_names(rows))
        desired = _noting(desired, whole, in_turn, read)
    # The desired side is read first: by the time of the scan all is known that is to be read whole.
    plan = compare(
        without(desired, excused),
        _as_readers_see(target, generation, sample, expected, counted, read),
    )
    if rows is not None:
        rows = pa.table({"id": pa.array([*in_turn, *rows.column("id").to_pylist()], pa.string())})
    compared, differing = _contents(
        lake, target, generation, snapshot, rows, excused, plan, read.brought
    )
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
    compared, differing = _contents(lake, target, generation, snapshot, desired, excused, plan, {})
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
    sample: ProofSample,
    expected: Mapping[str, int],
    counted: Collection[str],
    read: WholeRows,
) -> Iterator[pa.RecordBatch]:
    """All rows in one scan; of tenants whose filter shows another number, what the filter shows."""
    counts = target.counts(generation, sorted(counted))
    odd = sorted(tenant for tenant in counted if counts.get(tenant, 0) != expected[tenant])
    names = pa.array(odd, pa.string())
    for batch in target.scan(generation, sample=sample, whole=read):
        yield batch.filter(pc.invert(pc.is_in(batch.column("tenant"), names))) if odd else batch
    for tenant in odd:
        yield from target.keys(generation, tenant, sample=sample)


def _noting(
    keys: Iterable[pa.RecordBatch], sample: ProofSample, noted: list[str], read: WholeRows
) -> Iterator[pa.RecordBatch]:
    """The same batches; rows that the sample has are noted in passing."""
    for batch in keys:
        names = [key for key in _names(batch) if sample.has(key[0])]
        noted += [row_id for row_id, _ in names]
        read.want(names)
        yield batch


def _contents(
    lake: Lake,
    target: VectorIndex,
    generation: Generation,
    snapshot: Snapshot,
    rows: pa.Table | None,
    excused: Mapping[RowKey, str],
    plan: Plan,
    brought: Mapping[RowKey, StoredRow],
) -> tuple[int, dict[str, str]]:
    """Read some rows (a column `id`) whole, or all, and compare them with the lake's.

    Those that are `brought` have been read.

    Returns:
        Rows compared; and id -> differing fields, of those that the plan does not write anyway.
    """
    compared = 0
    differing: dict[str, str] = {}
    if rows is not None and not rows.num_rows:
        return compared, differing
    planned = set(_names(plan.upserts))
    for batch in lake.index_rows(
        generation.model_version,
        snapshot,
        ids=rows,
        by_tenant=target.tenants_apart and rows is not None,
    ):
        for part in _readable(batch):
            wanted = {
                key: row for key, row in wanted_rows(part) if excused.get(key) != row["digest"]
            }
            missing = [key for key in wanted if key not in brought]
            stored = target.whole_rows(generation, missing) if missing else {}
            compared += len(wanted)
            for key, row in wanted.items():
                fields = differing_fields(row, brought.get(key) or stored.get(key))
                if fields and key not in planned:
                    differing[key[0]] = ", ".join(fields)
    return compared, dict(sorted(differing.items()))


def _readable(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The same rows in parts small enough to be held twice."""
    if rows.nbytes > READ_BYTES and rows.num_rows > 1:
        half = rows.num_rows // 2
        yield from _readable(rows.slice(0, half))
        yield from _readable(rows.slice(half))
    else:
        yield rows


def _names(rows: pa.Table | pa.RecordBatch) -> list[RowKey]:
    return list(zip(rows.column("id").to_pylist(), rows.column("tenant").to_pylist(), strict=True))
