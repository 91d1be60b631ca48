"""The lake as consumers see it: what they may derive from a snapshot of its tables.

Belongs here: which tables a derived thing is made of, and at which versions.

A **snapshot** is a pair of Delta versions (chunks, embeddings). Everything an index holds is a
function of a snapshot and a model version; `index_rows` is that function. The tables are in
`tables.py`, the SQL in `derive.py` and `by_day.py`, the values in `snapshots.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.lake import by_day, derive
from vector_platform.lake.snapshots import Snapshot, SnapshotIncomplete, VersionsByDay
from vector_platform.lake.storage.table_reader import HistoryUnavailable
from vector_platform.lake.tables import LakeTables


class Lake(LakeTables):
    """All tables below one root, and the reads that combine them."""

    # -- contents and their vectors ---------------------------------------------------------

    def missing_contents(
        self, model_version: str, *, chunks_version: int, batch_rows: int = 4096
    ) -> Iterator[pa.RecordBatch]:
        """Contents of the chunks that have no vector yet: batches of (content_hash, text).

        `text` is what the model sees (`contract.content_of`). Each content comes once.
        """
        yield from derive.missing_contents(
            self.chunks.dataset(chunks_version), self.vectors(model_version), batch_rows=batch_rows
        )

    def some_contents(self, *, chunks_version: int, rows: int) -> pa.Table:
        """Some contents of the chunks, with or without a vector: (content_hash, text).

        A random choice that is the same every time.
        """
        return derive.some_contents(self.chunks.dataset(chunks_version), rows=rows)

    def count_missing(self, model_version: str, snapshot: Snapshot) -> int:
        """Number of distinct contents of a snapshot without a vector under a model version."""
        return derive.count_missing(
            self.chunks.dataset(snapshot.chunks), self.vectors(model_version, snapshot.embeddings)
        )

    def unaligned(
        self, source: str, aligned: str, *, chunks_version: int, batch_rows: int = 16_384
    ) -> Iterator[pa.RecordBatch]:
        """Vectors of `source` for contents of the chunks that `aligned` has none for yet.

        Batches of (content_hash, vector). Each content comes once.
        """
        yield from derive.unaligned(
            self.chunks.dataset(chunks_version),
            self.vectors(source),
            self.vectors(aligned),
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
        return derive.sample_contents(
            self.chunks.dataset(chunks_version),
            self.vectors(model_version),
            rows=rows,
            doc_ids=pa.array(doc_ids, pa.string()) if doc_ids is not None else None,
        )

    def vectors_of(self, model_version: str, content_hashes: Sequence[str]) -> pa.Table:
        """Vectors of some contents: (content_hash, vector), ordered by hash.

        A content without a vector is left out. For thousands, not for a lake of them.
        """
        return derive.vectors_of(self.vectors(model_version), pa.array(content_hashes, pa.string()))

    # -- what an index is made of -----------------------------------------------------------

    def count_rows(self, snapshot: Snapshot) -> int:
        """Rows an index of a snapshot has. Reads what files say of themselves."""
        return self.chunks.rows(snapshot.chunks)

    def count_tenants(self, snapshot: Snapshot) -> dict[str, int]:
        """Tenant -> rows that an index of a snapshot has of it, in the order of the names."""
        return derive.count_tenants(self.chunks.dataset(snapshot.chunks))

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

        Args:
            model_version: Whose digests.
            snapshot: Which chunks.
            sizes: Tenant -> rows, or all of them where it has no more.
            besides: Table with a column `id`: rows that are not chosen.
            seed: Decides which rows; another seed, other rows.
        """
        return derive.sample_keys(
            self.chunks.dataset(snapshot.chunks),
            self.model_version(model_version).fingerprint,
            sizes,
            besides=besides,
            seed=seed,
        )

    def index_keys(self, model_version: str, snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
        """Desired state of an index: batches of (id, tenant, digest). Reads no vector."""
        model = self.model_version(model_version)
        yield from derive.index_keys(self.chunks.dataset(snapshot.chunks), model.fingerprint)

    def index_changes(
        self, model_version: str, after: Snapshot, until: Snapshot
    ) -> tuple[pa.Table, pa.Table]:
        """What an index must gain and lose between two snapshots, from the change data feed.

        Returns:
            Two tables of (id, tenant, digest), one row an id: the touched chunks as they are at
            `until`, and the touched chunks as they were at `after`. A chunk that came (went) in
            between is in the first (second) only; one that came and went is in neither.

        Raises:
            HistoryUnavailable: The feed has a gap; compare in full instead.
        """
        if until.chunks_id != after.chunks_id or until.chunks < after.chunks:
            raise HistoryUnavailable(f"the chunks table was recreated since {after}")
        model = self.model_version(model_version)
        feed = self.chunks.changes(after.chunks, until.chunks, derive.FEED_COLUMNS)
        return derive.index_changes(feed, model.fingerprint)

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
        model = self.model_version(model_version)
        missing = self.count_missing(model_version, snapshot)
        if missing:
            raise SnapshotIncomplete(
                f"{missing} content(s) of {snapshot} have no vector under {model_version}: "
                f"materialise lake/embeddings for the partition {model_version} first"
            )
        yield from derive.index_rows(
            self.chunks.dataset(snapshot.chunks),
            self.vectors(model_version, snapshot.embeddings),
            model.fingerprint,
            ids=ids,
            batch_rows=batch_rows,
            by_tenant=by_tenant,
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
            return derive.NO_KEYS
        return derive.keys_of_contents(
            self.chunks.dataset(snapshot.chunks),
            moved.select(["content_hash"]),
            self.model_version(model_version).fingerprint,
        )

    # -- what counts on which day -----------------------------------------------------------

    def contents_by_day(
        self,
        model_version: str,
        until: VersionsByDay,
        *,
        after: VersionsByDay | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Which contents count on which day, each with its vector (`by_day.contents_by_day`).

        Args:
            model_version: Whose vectors; the newest ones.
            until: Which chunks and documents.
            after: Return only what changed since these; None for everything.

        Raises:
            HistoryUnavailable: The feeds do not reach back to `after`; count everything instead.
        """
        feeds = None
        if after is not None:
            if not after.precedes(until):
                raise HistoryUnavailable(f"{after} is not an earlier state of {until}")
            feeds = by_day.Feeds(
                self.chunks.changes(after.chunks, until.chunks, by_day.CHUNK_COLUMNS),
                self.documents.changes(after.documents, until.documents, by_day.DOCUMENT_COLUMNS),
            )
            if feeds.chunks.num_rows == feeds.documents.num_rows == 0:
                return
        yield from by_day.contents_by_day(
            self.chunks.dataset(until.chunks),
            self.documents.dataset(until.documents),
            self.vectors(model_version),
            feeds=feeds,
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
        """Some chunks of some days, with their vectors (`by_day.sample_of_days`)."""
        return by_day.sample_of_days(
            self.chunks.dataset(versions.chunks),
            self.documents.dataset(versions.documents),
            self.vectors(model_version),
            first=first,
            last=last,
            limit=limit,
            slice_=slice_,
        )

    def count_days(self, versions: VersionsByDay) -> pa.Table:
        """Chunks of every day: (day, rows), oldest first. Reads no vector and no text."""
        return by_day.count_days(
            self.chunks.dataset(versions.chunks), self.documents.dataset(versions.documents)
        )
