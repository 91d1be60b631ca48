"""What an index must gain and lose: a pure comparison of two sets of keys.

Belongs here: the difference between desired keys (a lake snapshot) and actual keys (read from an
index), and the guard over it.

Both sides are streams of (id, tenant, digest). A row is *missing* when the index lacks its
(id, tenant), *stale* when it is there with another digest, *orphaned* when the lake knows
nothing of its (id, tenant), and *moved* when it is orphaned in one tenant while the lake has
the same id in another: then the orphan is the old copy of a row that changed hands. A row of the
index whose digest was not read (null) is there, and is neither known to be stale nor not to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from vector_platform.errors import RefusedByPolicy
from vector_platform.lake.storage.joins import spilling_duckdb

# Enough ids of each kind to see a pattern, few enough to read.
SAMPLE = 10


@dataclass(frozen=True)
class Plan:
    """The difference, ready to be applied.

    Attributes:
        upserts: (id, tenant, stale) rows to write; those that are not `stale` are missing.
        deletes: (id, tenant, moved) rows to remove; `moved` ones have a successor elsewhere.
        desired: Rows the lake wants.
        actual: Rows the index has.
        missing: Rows the index lacks.
        stale: Rows made from something else.
        orphaned: Rows the lake does not know, moved ones not counted.
        moved: Old copies of rows that belong to another tenant now.
        duplicated: Surplus copies of one (id, tenant) in the index.
        digests_read: Rows of the index whose digest was read.
    """

    upserts: pa.Table
    deletes: pa.Table
    desired: int
    actual: int
    missing: int
    stale: int
    orphaned: int
    moved: int
    duplicated: int
    digests_read: int

    @property
    def empty(self) -> bool:
        """Whether index and lake are equal."""
        return not (self.upserts.num_rows or self.deletes.num_rows or self.duplicated)

    def samples(self) -> dict[str, list[str]]:
        """Up to `SAMPLE` rows of each side, as `tenant/id`."""
        return {
            "to_write": _names(self.upserts),
            "to_delete": _names(self.deletes),
        }

    def by_tenant(self) -> dict[str, dict[str, int]]:
        """Tenant -> kind of difference -> rows; nothing for tenants that are as they should be."""
        counts: dict[str, dict[str, int]] = {}
        for rows, flag, kinds in (
            (self.upserts, "stale", ("missing", "stale")),
            (self.deletes, "moved", ("orphaned", "wrong tenant")),
        ):
            grouped = rows.group_by(["tenant", flag]).aggregate([([], "count_all")])
            for row in grouped.sort_by([("tenant", "ascending"), (flag, "ascending")]).to_pylist():
                counts.setdefault(row["tenant"], {})[kinds[row[flag]]] = row["count_all"]
        return counts

    def describe(self) -> str:
        """One line of counts."""
        return (
            f"{self.desired} desired, {self.actual} actual: {self.missing} missing, "
            f"{self.stale} stale, {self.orphaned} orphaned, {self.moved} in the wrong tenant, "
            f"{self.duplicated} duplicated, {self.digests_read} of {self.actual} digests read"
        )


class DeleteGuard(RefusedByPolicy):
    """A sync would delete more of an index than the policy lets it. Nothing has been deleted."""


def compare(desired: Iterable[pa.RecordBatch], actual: Iterable[pa.RecordBatch]) -> Plan:
    """Compare two streams of `INDEX_KEY` batches. Pure: same input, same plan, any batch order.

    Memory is bounded by the difference, not by the sides: they are joined in DuckDB, which
    spills to disk.
    """
    with spilling_duckdb() as db:
        for name, side in (("desired_side", desired), ("actual_side", actual)):
            db.execute(f"CREATE TEMP TABLE {name} (id VARCHAR, tenant VARCHAR, digest VARCHAR)")
            # Batch by batch: an error of a side keeps its type instead of becoming DuckDB's.
            for batch in side:
                db.register("incoming", pa.Table.from_batches([batch]))
                db.execute(f"INSERT INTO {name} SELECT id, tenant, digest FROM incoming")
                db.unregister("incoming")
        db.execute(
            """
            CREATE TEMP TABLE present AS
            SELECT id, tenant, min(digest) AS digest, count(*) AS copies
            FROM actual_side GROUP BY id, tenant
            """
        )
        upserts = db.sql(
            """
            SELECT d.id, d.tenant, p.id IS NOT NULL AS stale
            FROM desired_side d LEFT JOIN present p ON p.id = d.id AND p.tenant = d.tenant
            WHERE p.id IS NULL OR p.digest <> d.digest OR p.copies > 1
            ORDER BY d.tenant, d.id
            """
        ).to_arrow_table()
        deletes = db.sql(
            """
            SELECT p.id, p.tenant, p.id IN (SELECT id FROM desired_side) AS moved
            FROM present p ANTI JOIN desired_side d ON p.id = d.id AND p.tenant = d.tenant
            ORDER BY p.tenant, p.id
            """
        ).to_arrow_table()
        counts = db.execute(
            """
            SELECT (SELECT count(*) FROM desired_side), (SELECT count(*) FROM actual_side),
                   (SELECT coalesce(sum(copies - 1), 0)::BIGINT FROM present),
                   (SELECT count(digest) FROM actual_side)
            """
        ).fetchone()
    assert counts is not None
    stale = sum(upserts.column("stale").to_pylist())
    moved = sum(deletes.column("moved").to_pylist())
    return Plan(
        upserts=upserts,
        deletes=deletes,
        desired=int(counts[0]),
        actual=int(counts[1]),
        missing=upserts.num_rows - stale,
        stale=stale,
        orphaned=deletes.num_rows - moved,
        moved=moved,
        duplicated=int(counts[2]),
        digests_read=int(counts[3]),
    )


def overlooking(actual: Iterable[pa.RecordBatch], rows: pa.Table) -> Iterator[pa.RecordBatch]:
    """The actual side without some rows (id, tenant), so that a plan writes them again.

    For rows whose vector changed while their digest did not.
    """
    doomed = set(zip(rows["id"].to_pylist(), rows["tenant"].to_pylist(), strict=True))
    for batch in actual:
        if doomed:
            keys = zip(batch["id"].to_pylist(), batch["tenant"].to_pylist(), strict=True)
            batch = batch.filter(pa.array([key not in doomed for key in keys], pa.bool_()))
        yield batch


def guard_deletes(
    plan: Plan, *, in_index: int, in_lake: int, max_share: float, allowed: int
) -> None:
    """Refuse a plan that would delete too much of an index.

    Args:
        plan: What would be applied.
        in_index: Rows that the index holds, as the backend counts them now.
        in_lake: Rows that the lake wants in it. An empty lake deletes nothing by itself: it is
            the sign of a source that failed, or of a deployment that is somebody else's.
        max_share: Largest share of the index that may go without being asked.
        allowed: Deletes let through this once by a person.

    Raises:
        DeleteGuard: Too many; says how many, which, and the way through.
    """
    if plan.orphaned <= allowed or (in_lake and plan.orphaned <= max_share * in_index):
        return
    share = f"{plan.orphaned / in_index:.1%}" if in_index else "more than it is said to hold"
    why = f"the guard lets {max_share:.1%} through" if in_lake else "the lake is empty"
    raise DeleteGuard(
        f"this would delete {plan.orphaned} of {in_index} rows ({share}, {why}), "
        f"for example {', '.join(plan.samples()['to_delete'][:3])}. Nothing has been deleted. "
        f"If it is right: --allow-delete {plan.orphaned}"
    )


def _names(table: pa.Table) -> list[str]:
    head = table.slice(0, SAMPLE)
    return [
        f"{tenant}/{id}"
        for id, tenant in zip(
            head.column("id").to_pylist(), head.column("tenant").to_pylist(), strict=True
        )
    ]
