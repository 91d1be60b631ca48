"""Contents of the chunks and their vectors: what is missing, what is there, samples of both.

Belongs here: joins of chunks and vectors by content. They run in DuckDB with a memory limit and
spill to disk, so memory does not grow with the lake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from vector_platform.lake.rules import CONTENT_SQL
from vector_platform.lake.snapshots import Snapshot
from vector_platform.lake.storage.fragments import holding
from vector_platform.lake.storage.joins import scan, spilling_duckdb, stream
from vector_platform.lake.tables import LakeTables

# Looking for the row groups that hold so many rows pays; for more, all of them are read.
FEW = 20_000


class Contents(LakeTables):
    """Reads of contents and vectors."""

    def missing_contents(
        self, model_version: str, *, chunks_version: int, batch_rows: int = 4096
    ) -> Iterator[pa.RecordBatch]:
        """Contents of the chunks that have no vector yet: batches of (content_hash, text).

        `text` is what the model sees (`contract.content_of`). Each content comes once, ordered by
        hash.
        """
        chunks, vectors = self.chunks.dataset(chunks_version), self.vectors(model_version)
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

    def some_contents(self, *, chunks_version: int, rows: int) -> pa.Table:
        """Some contents of the chunks, with or without a vector: (content_hash, text).

        Those with the smallest hashes, which is random and always the same.
        """
        chunks = self.chunks.dataset(chunks_version)
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

    def count_missing(self, model_version: str, snapshot: Snapshot) -> int:
        """Number of distinct contents of a snapshot without a vector under a model version."""
        vectors = self.vectors(model_version, snapshot.embeddings)
        with spilling_duckdb() as db:
            db.register("chunks", scan(self.chunks.dataset(snapshot.chunks), ["content_hash"]))
            db.register("vectors", scan(vectors, ["content_hash"]))
            row = db.execute(
                "SELECT count(DISTINCT content_hash) FROM chunks "
                "WHERE content_hash NOT IN (SELECT content_hash FROM vectors)"
            ).fetchone()
        return int(row[0]) if row else 0

    def unaligned(
        self, source: str, aligned: str, *, chunks_version: int, batch_rows: int = 16_384
    ) -> Iterator[pa.RecordBatch]:
        """Vectors of `source` for contents of the chunks that `aligned` has none for yet.

        Batches of (content_hash, vector). Each content comes once. The join keeps hashes and
        streams the vectors.
        """
        with spilling_duckdb(as_written=True) as db:
            db.register("chunks", scan(self.chunks.dataset(chunks_version), ["content_hash"]))
            db.register("aligned", scan(self.vectors(aligned), ["content_hash"]))
            db.execute(
                "CREATE TEMP TABLE wanted AS SELECT DISTINCT content_hash FROM chunks "
                "WHERE content_hash NOT IN (SELECT content_hash FROM aligned)"
            )
            db.register("source", scan(self.vectors(source), ["content_hash", "vector"]))
            yield from stream(
                db,
                "SELECT content_hash, vector FROM source SEMI JOIN wanted USING (content_hash)",
                batch_rows=batch_rows,
            )

    def sample_contents(
        self,
        model_version: str,
        *,
        chunks_version: int,
        rows: int,
        doc_ids: Sequence[str] | None = None,
    ) -> pa.Table:
        """Some chunks whose content has a vector: (doc_id, content_hash, text).

        A random choice of documents that is the same every time, or the documents that are
        named; at most `rows` chunks of them.
        """
        chunks = self.chunks.dataset(chunks_version)
        columns = ["chunk_id", "doc_id", "content_hash", "title", "text"]
        with spilling_duckdb() as db:
            db.register("chunks", scan(chunks, columns))
            db.register("vectors", scan(self.vectors(model_version), ["content_hash"]))
            chosen = ""
            if doc_ids is not None:
                db.register("chosen", pa.table({"doc_id": pa.array(doc_ids, pa.string())}))
                chosen = "SEMI JOIN chosen USING (doc_id)"
            return db.sql(
                f"""
                SELECT doc_id, content_hash, {CONTENT_SQL} AS text
                FROM chunks {chosen} SEMI JOIN vectors USING (content_hash)
                ORDER BY sha256(doc_id), chunk_id LIMIT {rows}
                """
            ).to_arrow_table()

    def vectors_of(self, model_version: str, content_hashes: Sequence[str]) -> pa.Table:
        """Vectors of some contents: (content_hash, vector), ordered by hash.

        A content without a vector is left out. For thousands, not for a lake of them.
        """
        wanted, vectors = pa.array(content_hashes, pa.string()), self.vectors(model_version)
        with spilling_duckdb() as db:
            db.register("wanted", pa.table({"content_hash": wanted}))
            if len(wanted) <= FEW:
                vectors = holding(vectors, "content_hash", wanted)
            db.register("vectors", scan(vectors, ["content_hash", "vector"]))
            return db.sql(
                "SELECT content_hash, vector FROM vectors SEMI JOIN wanted USING (content_hash) "
                "ORDER BY content_hash"
            ).to_arrow_table()
