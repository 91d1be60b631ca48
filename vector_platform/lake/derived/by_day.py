"""Chunks by the day they belong to: all of them, or what came and went between two versions.

Belongs here: the join of chunks, documents and vectors that says which contents count on which
day, in SQL.

A chunk belongs to the day of its document: the day of its last change where the source knows one
(`updated_at`), else the day it came (`ingested_at`); a chunk without a document belongs to the
day its content was embedded. This is a function of the tables alone, so what changed between two
versions follows from the two change feeds, and adding it up gives what a full reading gives.
Days are counted from 1970-01-01, in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from vector_platform.lake.derived.contents import FEW
from vector_platform.lake.rules import CONTENT_SQL
from vector_platform.lake.snapshots import VersionsByDay
from vector_platform.lake.storage.fragments import holding
from vector_platform.lake.storage.joins import scan, spilling_duckdb, stream
from vector_platform.lake.storage.table_reader import HistoryUnavailable
from vector_platform.lake.tables import LakeTables

if TYPE_CHECKING:
    import duckdb

CHUNK_COLUMNS = ("chunk_id", "doc_id", "tenant", "source", "content_hash", "title", "text")
DOCUMENT_COLUMNS = ("doc_id", "updated_at", "ingested_at")

_US_A_DAY = 86_400_000_000
_DAY = f"CAST(floor(epoch_us(coalesce(updated_at, ingested_at)) / {_US_A_DAY}) AS BIGINT)"


class RowsByDay(LakeTables):
    """Reads of what counts on which day."""

    def contents_by_day(
        self, model_version: str, until: VersionsByDay, *, after: VersionsByDay | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Which contents count on which day, each with its vector.

        Args:
            model_version: Whose vectors; the newest ones.
            until: Which chunks and documents.
            after: Return only what changed since these; None for everything.

        Yields:
            Batches of (content_hash, tenant, source, day, copies, text, vector). `copies` is how
            many chunks more (or, negative, fewer) there are; `vector` is null where there is none.

        Raises:
            HistoryUnavailable: The feeds do not reach back to `after`; count everything instead.
        """
        feeds = None
        if after is not None:
            if not after.precedes(until):
                raise HistoryUnavailable(f"{after} is not an earlier state of {until}")
            feeds = {
                "chunk_feed": self.chunks.changes(after.chunks, until.chunks, CHUNK_COLUMNS),
                "document_feed": self.documents.changes(
                    after.documents, until.documents, DOCUMENT_COLUMNS
                ),
            }
            if not any(feed.num_rows for feed in feeds.values()):
                return
        vectors = self.vectors(model_version)
        with spilling_duckdb() as db:
            self._register(db, until)
            if feeds is None:
                db.execute("CREATE TEMP TABLE chunks AS SELECT *, 1 AS copies FROM all_chunks")
                db.execute("CREATE TEMP TABLE documents AS SELECT * FROM all_documents")
                counted = _counted("chunks", "documents")
            else:
                for name, feed in feeds.items():
                    db.register(name, feed)
                db.execute(_CHANGES)
                counted = (
                    f"{_counted('chunks_now', 'documents_now')} UNION ALL "
                    f"{_counted('chunks_before', 'documents_before')}"
                )
            db.execute(
                f"""
                CREATE TEMP TABLE counted AS
                SELECT content_hash, tenant, source, day, CAST(sum(copies) AS BIGINT) AS copies,
                       any_value(content) AS text
                FROM ({counted}) GROUP BY content_hash, tenant, source, day HAVING sum(copies) <> 0
                """
            )
            hashes = db.sql("SELECT DISTINCT content_hash FROM counted").to_arrow_table()
            if len(hashes) <= FEW:
                vectors = holding(vectors, "content_hash", hashes.column(0).combine_chunks())
            db.register("vectors", scan(vectors, ["content_hash", "embedded_at", "vector"]))
            embedded = f"CAST(floor(epoch_us(embedded_at) / {_US_A_DAY}) AS BIGINT)"
            yield from stream(
                db,
                f"""
                SELECT content_hash, tenant, source, coalesce(day, {embedded}) AS day,
                       copies, text, vector
                FROM counted LEFT JOIN vectors USING (content_hash)
                """,
                batch_rows=4096,
            )

    def sample_of_days(
        self,
        model_version: str,
        versions: VersionsByDay,
        *,
        first: int,
        last: int,
        limit: int,
        slice_: tuple[str, str] | None = None,
    ) -> pa.Table:
        """Some chunks of the days from `first` to `last`: (chunk_id, content_hash, text, vector).

        Those with the smallest content hashes, which is as good as random and the same every time;
        each content once. Reads the vectors of those alone.

        Args:
            model_version: Whose vectors.
            versions: Which chunks and documents.
            first: First day, counted from 1970-01-01.
            last: Last day, included.
            limit: Contents at most.
            slice_: (tenant, source) whose chunks they are; None for all.
        """
        of_slice = "" if slice_ is None else "AND tenant = $tenant AND source = $source"
        named = {} if slice_ is None else dict(zip(("tenant", "source"), slice_, strict=True))
        with spilling_duckdb() as db:
            self._register(db, versions)
            db.execute(
                f"""
                CREATE TEMP TABLE chosen AS
                SELECT min(chunk_id) AS chunk_id, content_hash, any_value({CONTENT_SQL}) AS text
                FROM all_chunks JOIN all_documents USING (doc_id)
                WHERE {_DAY} BETWEEN {first} AND {last} {of_slice}
                GROUP BY content_hash ORDER BY content_hash LIMIT {limit}
                """,
                named,
            )
            hashes = db.sql("SELECT content_hash FROM chosen").to_arrow_table().column(0)
            vectors = holding(self.vectors(model_version), "content_hash", hashes.combine_chunks())
            db.register("vectors", scan(vectors, ["content_hash", "vector"]))
            return db.sql(
                "SELECT chunk_id, content_hash, text, vector FROM chosen JOIN vectors "
                "USING (content_hash) ORDER BY content_hash"
            ).to_arrow_table()

    def count_days(self, versions: VersionsByDay) -> pa.Table:
        """Chunks of every day: (day, rows), oldest first. Reads no vector and no text.

        Chunks without a document are left out.
        """
        with spilling_duckdb() as db:
            self._register(db, versions, ["doc_id"])
            return db.sql(
                f"SELECT {_DAY} AS day, count(*) AS rows FROM all_chunks JOIN all_documents "
                "USING (doc_id) GROUP BY day ORDER BY day"
            ).to_arrow_table()

    def _register(
        self,
        db: duckdb.DuckDBPyConnection,
        versions: VersionsByDay,
        columns: Sequence[str] = CHUNK_COLUMNS,
    ) -> None:
        """`all_chunks`, some columns of them, and `all_documents`."""
        db.register("all_chunks", scan(self.chunks.dataset(versions.chunks), columns))
        documents = self.documents.dataset(versions.documents)
        db.register("all_documents", scan(documents, DOCUMENT_COLUMNS))


def _counted(chunks: str, documents: str) -> str:
    return (
        f"SELECT content_hash, tenant, source, {_DAY} AS day, copies, {CONTENT_SQL} AS content "
        f"FROM {chunks} LEFT JOIN {documents} USING (doc_id)"
    )


def _edges(feed: str, key: str) -> str:
    """Rows of a feed as they were before it: of the oldest commit of a key, if it found one."""
    return (
        f"SELECT * FROM (SELECT *, rank() OVER (PARTITION BY {key} ORDER BY _commit_version) "
        f"AS place FROM {feed}) WHERE place = 1 AND _change_type IN ('delete', 'update_preimage')"
    )


def _touched(table: str) -> str:
    return f"SELECT * FROM {table} SEMI JOIN touched USING (doc_id)"


_CHUNKS = ", ".join(CHUNK_COLUMNS)
_DOCUMENTS = ", ".join(DOCUMENT_COLUMNS)
# Both sides of every document that either feed names: a document that moves to another day moves
# all its chunks, also those that did not change.
_CHANGES = f"""
    CREATE TEMP TABLE touched AS
        SELECT doc_id FROM chunk_feed UNION SELECT doc_id FROM document_feed;
    CREATE TEMP TABLE chunks_now AS SELECT *, 1 AS copies FROM ({_touched("all_chunks")});
    CREATE TEMP TABLE documents_now AS {_touched("all_documents")};
    CREATE TEMP TABLE chunks_before AS
        SELECT {_CHUNKS}, -1 AS copies FROM chunks_now
        WHERE chunk_id NOT IN (SELECT chunk_id FROM chunk_feed)
        UNION ALL SELECT {_CHUNKS}, -1 AS copies FROM ({_edges("chunk_feed", "chunk_id")});
    CREATE TEMP TABLE documents_before AS
        SELECT {_DOCUMENTS} FROM documents_now
        WHERE doc_id NOT IN (SELECT doc_id FROM document_feed)
        UNION ALL SELECT {_DOCUMENTS} FROM ({_edges("document_feed", "doc_id")});
"""
