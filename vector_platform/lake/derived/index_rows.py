"""What an index is made of: its rows, their keys, and how they change between two snapshots.

Belongs here: joins that give index rows. They run in DuckDB with a memory limit and spill to disk.

A **snapshot** is a pair of Delta versions (chunks, embeddings). Everything an index holds is a
function of a snapshot and a model version; `index_rows` is that function.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.lake.derived.contents import FEW, Contents
from vector_platform.lake.snapshots import Snapshot, SnapshotIncomplete
from vector_platform.lake.storage.fragments import holding
from vector_platform.lake.storage.joins import scan, spilling_duckdb, stream
from vector_platform.lake.storage.table_reader import HistoryUnavailable

# Columns of the chunks that a change of an index can depend on.
FEED_COLUMNS = ("chunk_id", "tenant", "region", "attributes", "content_hash")

# What tells an index row from another, for none.
NO_KEYS = pa.schema([(name, pa.string()) for name in ("id", "tenant", "digest")]).empty_table()

_SIZES = pa.schema([("tenant", pa.string()), ("size", pa.int64())])
# Columns of the chunks that an index row is made of.
_ROW_COLUMNS = (*FEED_COLUMNS, "doc_id", "title", "text")

# `contract.digest_of`, in SQL; a test holds the two together.
_DIGEST = (
    "substr(sha256(concat_ws(chr(31), c.content_hash, $fingerprint, c.tenant, c.region, "
    "c.attributes)), 1, 32)"
)
# What tells index rows from each other, of chunks `c`.
_KEYS = f"SELECT chunk_id AS id, tenant, {_DIGEST} AS digest"


class IndexRows(Contents):
    """Reads of what an index of a snapshot holds."""

    def count_rows(self, snapshot: Snapshot) -> int:
        """Rows an index of a snapshot has. Reads what files say of themselves."""
        return self.chunks.rows(snapshot.chunks)

    def count_tenants(self, snapshot: Snapshot) -> dict[str, int]:
        """Tenant -> rows that an index of a snapshot has of it, in the order of the names."""
        with spilling_duckdb() as db:
            db.register("chunks", scan(self.chunks.dataset(snapshot.chunks), ["tenant"]))
            rows = db.execute("SELECT tenant, count(*) FROM chunks GROUP BY tenant ORDER BY tenant")
            return dict(rows.fetchall())

    def sample_keys(
        self,
        model_version: str,
        snapshot: Snapshot,
        sizes: Mapping[str, int],
        *,
        besides: pa.Table,
        seed: str,
    ) -> pa.Table:
        """Some rows of an index, so many of each tenant: (id, tenant, digest).

        Those with the smallest hashes of seed and id: random, and the same for the same seed.

        Args:
            model_version: Whose digests.
            snapshot: Which chunks.
            sizes: Tenant -> rows, or all of them where it has no more.
            besides: Table with a column `id`: rows that are not chosen.
            seed: Decides which rows; another seed, other rows.
        """
        chunks = self.chunks.dataset(snapshot.chunks)
        fingerprint = self.model_version(model_version).fingerprint
        with spilling_duckdb() as db:
            db.register("ids", scan(chunks, ["chunk_id", "tenant"]))
            db.register("sizes", pa.table({"tenant": [*sizes], "size": [*sizes.values()]}, _SIZES))
            db.register("besides", pa.table({"chunk_id": besides.column("id")}))
            chosen = db.sql(
                """
                SELECT chunk_id FROM ids JOIN sizes USING (tenant)
                WHERE chunk_id NOT IN (SELECT chunk_id FROM besides)
                QUALIFY size >= row_number() OVER (
                    PARTITION BY tenant ORDER BY hash($seed || chunk_id), chunk_id)
                """,
                params={"seed": seed},
            ).to_arrow_table()
            chunks = holding(chunks, "chunk_id", chosen.column(0).combine_chunks())
            db.register("chunks", scan(chunks, FEED_COLUMNS))
            db.register("chosen", chosen)
            return db.sql(
                f"{_KEYS} FROM chunks c SEMI JOIN chosen USING (chunk_id) ORDER BY tenant, id",
                params={"fingerprint": fingerprint},
            ).to_arrow_table()

    def index_keys(self, model_version: str, snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
        """Desired state of an index: batches of (id, tenant, digest). Reads no vector."""
        fingerprint = self.model_version(model_version).fingerprint
        with spilling_duckdb() as db:
            db.register("chunks", scan(self.chunks.dataset(snapshot.chunks), FEED_COLUMNS))
            yield from stream(db, f"{_KEYS} FROM chunks c", fingerprint=fingerprint)

    def index_changes(
        self, model_version: str, after: Snapshot, until: Snapshot
    ) -> tuple[pa.Table, pa.Table]:
        """What an index must gain and lose between two snapshots, from the change data feed.

        The newest commit of an id tells how it is now, the oldest how it was; only if that commit
        left (found) a row is there one.

        Returns:
            Two tables of (id, tenant, digest), one row an id: the touched chunks as they are at
            `until`, and the touched chunks as they were at `after`. A chunk that came (went) in
            between is in the first (second) only; one that came and went is in neither.

        Raises:
            HistoryUnavailable: The feed has a gap; compare in full instead.
        """
        if until.chunks_id != after.chunks_id or until.chunks < after.chunks:
            raise HistoryUnavailable(f"the chunks table was recreated since {after}")
        fingerprint = self.model_version(model_version).fingerprint
        feed = self.chunks.changes(after.chunks, until.chunks, FEED_COLUMNS)
        with spilling_duckdb() as db:
            db.register("feed", feed)
            now, before = (
                db.sql(
                    f"""
                    WITH edge AS (
                        SELECT *, rank() OVER (
                            PARTITION BY chunk_id ORDER BY _commit_version {order}) AS place
                        FROM feed
                    )
                    {_KEYS}
                    FROM edge c WHERE place = 1 AND _change_type IN {kinds}
                    """,
                    params={"fingerprint": fingerprint},
                ).to_arrow_table()
                for kinds, order in (
                    (("insert", "update_postimage"), "DESC"),
                    (("delete", "update_preimage"), "ASC"),
                )
            )
        return now, before

    def index_rows(
        self,
        model_version: str,
        snapshot: Snapshot,
        *,
        ids: pa.Table | None = None,
        batch_rows: int = 4096,
        by_tenant: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Rows of an index as Arrow batches, for all chunks of a snapshot or for some.

        The join keeps the chunks and streams the vectors, which are several times larger.

        Args:
            model_version: Whose vectors.
            snapshot: Which chunks and vectors.
            ids: Table with a column `id`; None for all.
            batch_rows: Rows in a batch.
            by_tenant: Each tenant's rows together, for a backend that takes no two tenants in one
                request. All rows are then sorted, which costs disk and time and no more memory.

        Raises:
            SnapshotIncomplete: Chunks without a vector; raised before the first batch.
        """
        fingerprint = self.model_version(model_version).fingerprint
        missing = self.count_missing(model_version, snapshot)
        if missing:
            raise SnapshotIncomplete(
                f"{missing} content(s) of {snapshot} have no vector under {model_version}: "
                f"materialise lake/embeddings for the partition {model_version} first"
            )
        chunks = self.chunks.dataset(snapshot.chunks)
        vectors = self.vectors(model_version, snapshot.embeddings)
        with spilling_duckdb(as_written=True) as db:
            if ids is not None:
                wanted = ids.column("id").combine_chunks().unique()
                if len(wanted) <= FEW:
                    chunks = holding(chunks, "chunk_id", wanted)
                db.register("scanned", scan(chunks, _ROW_COLUMNS))
                db.register("wanted", pa.table({"chunk_id": wanted}))
                db.execute(
                    "CREATE TEMP TABLE chunks AS "
                    "SELECT * FROM scanned SEMI JOIN wanted USING (chunk_id)"
                )
                if len(wanted) <= FEW:
                    hashes = db.sql("SELECT DISTINCT content_hash FROM chunks").to_arrow_table()
                    vectors = holding(vectors, "content_hash", hashes.column(0).combine_chunks())
            else:
                db.register("chunks", scan(chunks, _ROW_COLUMNS))
            db.register("vectors", scan(vectors, ["content_hash", "vector"]))
            yield from stream(
                db,
                f"""
                SELECT c.chunk_id AS id, c.tenant, {_DIGEST} AS digest, v.vector, c.region,
                       c.doc_id, c.title, c.text, c.attributes
                FROM vectors v JOIN chunks c USING (content_hash)
                {"ORDER BY c.tenant" if by_tenant else ""}
                """,
                batch_rows=batch_rows,
                fingerprint=fingerprint,
            )

    def distrusted_rows(
        self, model_version: str, snapshot: Snapshot, *, since: Snapshot | None
    ) -> pa.Table:
        """Rows of a snapshot whose vector may have been another one at an older snapshot.

        A vector that is embedded again after a quarantine changes no digest, so an index that
        holds the old one is not seen to differ. These are the rows to write again.

        Args:
            model_version: Whose vectors.
            snapshot: Which chunks.
            since: The snapshot an index is equal to; None when it is not known.

        Returns:
            Table of (id, tenant, digest), one row an id.
        """
        moved = self.quarantined_vectors.read(
            ["content_hash", "removed_version"], where=[("model_version", "==", model_version)]
        )
        if since is not None:
            versions = moved.column("removed_version")
            # Not removed yet: the move was cut off, and every snapshot still holds the vector.
            moved = moved.filter(
                pc.or_kleene(pc.is_null(versions), pc.greater(versions, since.embeddings))
            )
        if moved.num_rows == 0:
            return NO_KEYS
        with spilling_duckdb() as db:
            db.register("chunks", scan(self.chunks.dataset(snapshot.chunks), FEED_COLUMNS))
            db.register("contents", moved.select(["content_hash"]))
            return db.sql(
                f"{_KEYS} FROM chunks c SEMI JOIN contents USING (content_hash)",
                params={"fingerprint": self.model_version(model_version).fingerprint},
            ).to_arrow_table()
