"""Landed rows that hold the vectors of chunks: which are still to be copied, or to be compared.

Belongs here: joins of chunks, landed rows and vectors. They run in DuckDB with a memory limit and
spill to disk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow as pa

from vector_platform.lake.contract import hash_text
from vector_platform.lake.derived.contents import FEW, Contents
from vector_platform.lake.storage.commits import Metadata
from vector_platform.lake.storage.fragments import holding
from vector_platform.lake.storage.joins import scan, spilling_duckdb, stream
from vector_platform.lake.storage.table_reader import HistoryUnavailable

# Commits of all model versions that are looked at for the newest of one.
_HISTORY = 200
_CHUNK_COLUMNS = ("chunk_id", "doc_id", "source", "content_hash", "row_hash")
_RAW_COLUMNS = ("row_hash", "payload", "uri")


def copied_until(lake: Contents, model_version: str, chunks_version: int) -> Metadata:
    """What a commit of copied vectors says of the chunks that it has seen all of."""
    table_id, _ = lake.chunks.identity()
    return {"copied_for": model_version, "copied_of": f"{table_id}@{chunks_version}"}


def rows_to_copy(
    lake: Contents, model_version: str, *, chunks_version: int, batch_rows: int = 256
) -> Iterator[pa.RecordBatch]:
    """Chunks with the landed row that holds their vector: those without a vector, or changed.

    Batches of (content_hash, doc_id, source, uri, payload, known). `known` is the vector that the
    content has already, else null; rows that have one come first. Then each content comes together,
    in the order of the hashes. `payload` is null where no landed row has the hash that the chunk
    names.

    Args:
        lake: Read from.
        model_version: Whose vectors are given.
        chunks_version: Version of the chunks.
        batch_rows: Rows in a batch.
    """
    touched = _touched(lake, model_version, chunks_version)
    chunks, vectors = lake.chunks.dataset(chunks_version), lake.vectors(model_version)
    with spilling_duckdb() as db:
        db.register("chunks", scan(chunks, _CHUNK_COLUMNS))
        db.register("embedded", scan(vectors, ["content_hash"]))
        db.execute("CREATE TEMP TABLE hashes AS SELECT content_hash FROM embedded")
        changed = "true"
        if touched is not None:
            db.register("touched", pa.table({"chunk_id": pa.array(touched, pa.string())}))
            changed = "chunk_id IN (SELECT chunk_id FROM touched)"
        db.execute(
            "CREATE TEMP TABLE wanted AS SELECT DISTINCT content_hash, doc_id, source, row_hash, "
            "content_hash IN (SELECT content_hash FROM hashes) AS has_vector FROM chunks "
            f"WHERE content_hash NOT IN (SELECT content_hash FROM hashes) OR {changed}"
        )
        wanted = db.sql("SELECT source, count(*) FROM wanted GROUP BY source").fetchall()
        if not wanted:
            return
        db.execute("CREATE TEMP TABLE landed (row_hash VARCHAR, payload VARCHAR, uri VARCHAR)")
        for source, rows in wanted:
            hashes = db.sql(
                "SELECT DISTINCT row_hash FROM wanted WHERE source = $source",
                params={"source": source},
            ).to_arrow_table()
            raw = lake.raw(source).dataset()
            if rows <= FEW:
                raw = holding(raw, "row_hash", hashes.column(0).combine_chunks())
            db.register("raw", scan(raw, _RAW_COLUMNS))
            db.register("named", hashes)
            db.execute(
                "INSERT INTO landed SELECT row_hash, any_value(payload), any_value(uri) "
                "FROM raw SEMI JOIN named USING (row_hash) GROUP BY row_hash"
            )
        known = db.sql("SELECT DISTINCT content_hash FROM wanted WHERE has_vector")
        table = known.to_arrow_table()
        if table.num_rows <= FEW:
            vectors = holding(vectors, "content_hash", table.column(0).combine_chunks())
        db.register("vectors", scan(vectors, ["content_hash", "vector"]))
        yield from stream(
            db,
            """
            SELECT w.content_hash, w.doc_id, w.source, l.uri, l.payload, v.vector AS known
            FROM wanted w LEFT JOIN landed l USING (row_hash)
            LEFT JOIN vectors v USING (content_hash)
            ORDER BY w.has_vector DESC, w.content_hash, w.doc_id
            """,
            batch_rows=batch_rows,
        )


def _touched(lake: Contents, model_version: str, chunks_version: int) -> Collection[str] | None:
    """Chunks written since vectors were last copied; None when that cannot be told."""
    table_id, _ = lake.chunks.identity()
    for commit in lake.embeddings.history(_HISTORY):
        if commit.get("copied_for") != model_version:
            continue
        seen_id, _, version = commit["copied_of"].rpartition("@")
        if seen_id != table_id or int(version) > chunks_version:
            return None
        try:
            feed = lake.chunks.changes(int(version), chunks_version, ["chunk_id"])
        except HistoryUnavailable:
            return None
        return set(feed.column("chunk_id").to_pylist())
    return None


def sample_of(lake: Contents, model_version: str, *, chunks_version: int, rows: int) -> pa.Table:
    """Some contents that have a vector, with it: (content_hash, title, text, vector).

    Those with the smallest hashes, which is random and always the same.
    """
    chunks, vectors = lake.chunks.dataset(chunks_version), lake.vectors(model_version)
    with spilling_duckdb() as db:
        db.register("chunks", scan(chunks, ["content_hash"]))
        db.register("vectors", scan(vectors, ["content_hash"]))
        chosen = db.sql(
            "SELECT DISTINCT content_hash FROM chunks SEMI JOIN vectors USING (content_hash) "
            f"ORDER BY content_hash LIMIT {rows}"
        ).to_arrow_table()
        hashes = chosen.column(0).combine_chunks()
        db.register("chosen", chosen)
        texts = ["content_hash", "title", "text"]
        db.register("texts", scan(holding(chunks, "content_hash", hashes), texts))
        found = holding(vectors, "content_hash", hashes)
        db.register("found", scan(found, ["content_hash", "vector"]))
        return db.sql(
            "SELECT content_hash, any_value(title) AS title, any_value(text) AS text, "
            "any_value(vector) AS vector FROM texts SEMI JOIN chosen USING (content_hash) "
            "JOIN found USING (content_hash) GROUP BY content_hash ORDER BY content_hash"
        ).to_arrow_table()


def name_of(hashes: Collection[str]) -> str:
    """One hash that names a set of contents."""
    return hash_text("\n".join(sorted(hashes)))
