"""What follows from chunks and vectors: missing contents, index rows, keys and changes, in SQL.

Belongs here: functions of datasets, whatever version they are of. Joins run in DuckDB with a
memory limit and spill to disk, so memory does not grow with the lake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.dataset as ds

from vector_platform.lake.rules import CONTENT_SQL
from vector_platform.lake.storage.fragments import holding
from vector_platform.lake.storage.joins import scan, spilling_duckdb, stream

# Columns of the chunks that a change of an index can depend on.
FEED_COLUMNS = ("chunk_id", "tenant", "region", "attributes", "content_hash")

# What tells an index row from another, for none.
NO_KEYS = pa.schema([(name, pa.string()) for name in ("id", "tenant", "digest")]).empty_table()

_SIZES = pa.schema([("tenant", pa.string()), ("size", pa.int64())])
# Columns of the chunks that an index row is made of.
_ROW_COLUMNS = (*FEED_COLUMNS, "doc_id", "title", "text")
# Looking for the row groups that hold so many rows pays; for more, all of them are read.
_FEW = 20_000

# `contract.digest_of`, in SQL; a test holds the two together.
_DIGEST = (
    "substr(sha256(concat_ws(chr(31), c.content_hash, $fingerprint, c.tenant, c.region, "
    "c.attributes)), 1, 32)"
)
# What tells index rows from each other, of chunks `c`.
_KEYS = f"SELECT chunk_id AS id, tenant, {_DIGEST} AS digest"


def some_contents(chunks: ds.Dataset, *, rows: int) -> pa.Table:
    """Distinct contents of chunks, at most so many: (content_hash, text).

    Those with the smallest hashes, which is random and always the same.
    """
    with spilling_duckdb() as db:
        db.register("hashes", scan(chunks, ["content_hash"]))
        db.register("chunks", scan(chunks, ["content_hash", "title", "text"]))
        # Hashes first, so that only the texts of the chosen are ever in memory.
        return db.sql(
            f"""
            WITH chosen AS (
                SELECT DISTINCT content_hash FROM hashes ORDER BY content_hash LIMIT {rows}
            )
            SELECT content_hash, any_value({CONTENT_SQL}) AS text
            FROM chunks SEMI JOIN chosen USING (content_hash)
            GROUP BY content_hash ORDER BY content_hash
            """
        ).to_arrow_table()


def missing_contents(
    chunks: ds.Dataset, vectors: ds.Dataset, *, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Contents of chunks without a vector: batches of (content_hash, text), ordered by hash."""
    with spilling_duckdb() as db:
        db.register("chunks", scan(chunks, ["content_hash", "title", "text"]))
        db.register("vectors", scan(vectors, ["content_hash"]))
        yield from stream(
            db,
            f"""
            SELECT content_hash, any_value({CONTENT_SQL}) AS text
            FROM chunks
            WHERE content_hash NOT IN (SELECT content_hash FROM vectors)
            GROUP BY content_hash ORDER BY content_hash
            """,
            batch_rows=batch_rows,
        )


def count_missing(chunks: ds.Dataset, vectors: ds.Dataset) -> int:
    """Number of distinct contents of chunks without a vector."""
    with spilling_duckdb() as db:
        db.register("chunks", scan(chunks, ["content_hash"]))
        db.register("vectors", scan(vectors, ["content_hash"]))
        row = db.execute(
            "SELECT count(DISTINCT content_hash) FROM chunks "
            "WHERE content_hash NOT IN (SELECT content_hash FROM vectors)"
        ).fetchone()
    return int(row[0]) if row else 0


def unaligned(
    chunks: ds.Dataset, source: ds.Dataset, aligned: ds.Dataset, *, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Vectors of contents of chunks that one model version has and another lacks.

    Batches of (content_hash, vector). The join keeps hashes and streams the vectors.
    """
    with spilling_duckdb(as_written=True) as db:
        db.register("chunks", scan(chunks, ["content_hash"]))
        db.register("aligned", scan(aligned, ["content_hash"]))
        db.execute(
            "CREATE TEMP TABLE wanted AS SELECT DISTINCT content_hash FROM chunks "
            "WHERE content_hash NOT IN (SELECT content_hash FROM aligned)"
        )
        db.register("source", scan(source, ["content_hash", "vector"]))
        yield from stream(
            db,
            "SELECT content_hash, vector FROM source SEMI JOIN wanted USING (content_hash)",
            batch_rows=batch_rows,
        )


def sample_contents(
    chunks: ds.Dataset, vectors: ds.Dataset, *, rows: int, doc_ids: pa.Array | None
) -> pa.Table:
    """Chunks whose content has a vector: (doc_id, content_hash, text), whole documents together.

    Documents come in the order of their ids' hashes, which is random and always the same.
    """
    with spilling_duckdb() as db:
        db.register("chunks", scan(chunks, ["chunk_id", "doc_id", "content_hash", "title", "text"]))
        db.register("vectors", scan(vectors, ["content_hash"]))
        chosen = ""
        if doc_ids is not None:
            db.register("chosen", pa.table({"doc_id": doc_ids.cast(pa.string())}))
            chosen = "SEMI JOIN chosen USING (doc_id)"
        return db.sql(
            f"""
            SELECT doc_id, content_hash, {CONTENT_SQL} AS text
            FROM chunks {chosen} SEMI JOIN vectors USING (content_hash)
            ORDER BY sha256(doc_id), chunk_id LIMIT {rows}
            """
        ).to_arrow_table()


def vectors_of(vectors: ds.Dataset, content_hashes: pa.Array) -> pa.Table:
    """Vectors of some contents: (content_hash, vector), ordered by hash; absent ones are left out.

    For thousands of contents, not for a lake of them: the vectors are in memory.
    """
    with spilling_duckdb() as db:
        wanted = content_hashes.cast(pa.string())
        db.register("wanted", pa.table({"content_hash": wanted}))
        if len(wanted) <= _FEW:
            vectors = holding(vectors, "content_hash", wanted)
        db.register("vectors", scan(vectors, ["content_hash", "vector"]))
        return db.sql(
            "SELECT content_hash, vector FROM vectors SEMI JOIN wanted USING (content_hash) "
            "ORDER BY content_hash"
        ).to_arrow_table()


def index_keys(chunks: ds.Dataset, fingerprint: str) -> Iterator[pa.RecordBatch]:
    """Batches of (id, tenant, digest). Reads no vector."""
    with spilling_duckdb() as db:
        db.register("chunks", scan(chunks, FEED_COLUMNS))
        yield from stream(
            db,
            f"{_KEYS} FROM chunks c",
            fingerprint=fingerprint,
        )


def count_tenants(chunks: ds.Dataset) -> dict[str, int]:
    """Tenant -> chunks, in the order of the names."""
    with spilling_duckdb() as db:
        db.register("chunks", scan(chunks, ["tenant"]))
        rows = db.execute("SELECT tenant, count(*) FROM chunks GROUP BY tenant ORDER BY tenant")
        return dict(rows.fetchall())


def sample_keys(
    chunks: ds.Dataset,
    fingerprint: str,
    sizes: Mapping[str, int],
    *,
    besides: pa.Table,
    seed: str,
) -> pa.Table:
    """So many chunks of each tenant, none of `besides` (a column `id`): (id, tenant, digest).

    Those with the smallest hashes of seed and id: random, and the same for the same seed.
    """
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


def index_changes(feed: pa.Table, fingerprint: str) -> tuple[pa.Table, pa.Table]:
    """Touched chunks as they are after a change feed, and as they were before it.

    The newest commit of an id tells how it is now, the oldest how it was; only if that commit
    left (found) a row is there one.
    """
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


def keys_of_contents(chunks: ds.Dataset, contents: pa.Table, fingerprint: str) -> pa.Table:
    """(id, tenant, digest) of the chunks with one of the contents (a column `content_hash`)."""
    with spilling_duckdb() as db:
        db.register("chunks", scan(chunks, FEED_COLUMNS))
        db.register("contents", contents)
        return db.sql(
            f"{_KEYS} FROM chunks c SEMI JOIN contents USING (content_hash)",
            params={"fingerprint": fingerprint},
        ).to_arrow_table()


def index_rows(
    chunks: ds.Dataset,
    vectors: ds.Dataset,
    fingerprint: str,
    *,
    ids: pa.Table | None,
    batch_rows: int,
    by_tenant: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Chunks joined with their vectors, for all ids or for some, on demand tenant by tenant.

    The join keeps the chunks and streams the vectors, which are several times larger. Ordering
    the rows by tenant sorts them all, on disk where they do not fit.
    """
    with spilling_duckdb(as_written=True) as db:
        if ids is not None:
            wanted = ids.column("id").combine_chunks().unique()
            if len(wanted) <= _FEW:
                chunks = holding(chunks, "chunk_id", wanted)
            db.register("scanned", scan(chunks, _ROW_COLUMNS))
            db.register("wanted", pa.table({"chunk_id": wanted}))
            db.execute(
                "CREATE TEMP TABLE chunks AS "
                "SELECT * FROM scanned SEMI JOIN wanted USING (chunk_id)"
            )
            if len(wanted) <= _FEW:
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
