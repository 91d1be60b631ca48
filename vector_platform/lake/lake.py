"""The lake as a whole: its tables, its snapshots, and what a consumer may derive from one.

Belongs here: how tables are read together.

A **snapshot** is a pair of Delta versions (chunks, embeddings). Everything an index holds is a
function of a snapshot and a model version; `index_rows` is that function. The SQL is in
`derive.py`, the values are in `snapshots.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from vector_platform.lake import by_day as dated
from vector_platform.lake import contract, derive
from vector_platform.lake.by_day import VersionsByDay
from vector_platform.lake.snapshots import (
    FingerprintChanged,
    ModelVersion,
    Snapshot,
    SnapshotIncomplete,
    UnknownModelVersion,
)
from vector_platform.lake.storage.tables import HistoryUnavailable, Metadata, Table

__all__ = [
    "FingerprintChanged",
    "Lake",
    "ModelVersion",
    "Snapshot",
    "SnapshotIncomplete",
    "UnknownModelVersion",
    "VersionsByDay",
    "run_metadata",
]


class Lake:
    """All tables below one root, and the reads that combine them.

    Args:
        uri: Root folder or object-store URL.
        storage_options: Passed to delta-rs; credentials normally come from the environment.
    """

    def __init__(self, uri: str, storage_options: dict[str, str] | None = None) -> None:
        self.uri = uri
        self._options = storage_options
        self.raw_rejects = self._table(contract.RAW_REJECTS)
        self.landings = self._table(contract.LANDINGS)
        self.documents = self._table(contract.DOCUMENTS)
        self.relations = self._table(contract.RELATIONS)
        self.chunks = self._table(contract.CHUNKS)
        self.embeddings = self._table(contract.EMBEDDINGS)
        self.quarantined_vectors = self._table(contract.QUARANTINED_VECTORS)
        self.model_versions = self._table(contract.MODEL_VERSIONS)
        self.canaries = self._table(contract.CANARIES)
        self.quarantined_slices = self._table(contract.QUARANTINED_SLICES)
        self.golden_queries = self._table(contract.GOLDEN_QUERIES)
        self.golden_proposals = self._table(contract.GOLDEN_PROPOSALS)
        self.index_state = self._table(contract.INDEX_STATE)
        self.rejected_rows = self._table(contract.REJECTED_ROWS)
        self.releases = self._table(contract.RELEASES)
        self.release_requests = self._table(contract.RELEASE_REQUESTS)
        self.decisions = self._table(contract.DECISIONS)
        self.evaluations = self._table(contract.EVALUATIONS)
        self.drift_references = self._table(contract.DRIFT_REFERENCES)
        self.drift_sketches = self._table(contract.DRIFT_SKETCHES)

    def raw(self, source: str) -> Table:
        """The raw table of a source."""
        return self._table(contract.raw_spec(source))

    def tables(self) -> list[Table]:
        """Every table except the raw ones."""
        return [value for value in vars(self).values() if isinstance(value, Table)]

    def _table(self, spec: contract.TableSpec) -> Table:
        return Table(spec, self.uri, self._options)

    # -- snapshots --------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The newest snapshot. Reads the two table logs only."""
        chunks_id, chunks = self.chunks.identity()
        return Snapshot(chunks, self.embeddings.version(), chunks_id)

    # -- models -----------------------------------------------------------------------------

    def model_version(self, name: str) -> ModelVersion:
        """The registered fingerprint and dimension of a model version.

        Raises:
            UnknownModelVersion: It has never been registered.
        """
        rows = self.model_versions.read(where=[("model_version", "==", name)]).to_pylist()
        if not rows:
            raise UnknownModelVersion(
                f"model version {name!r} is not in the lake yet: materialise lake/embeddings "
                f"for the partition {name}"
            )
        return _model_version(rows[0])

    def register_model(self, row: pa.Table) -> ModelVersion:
        """Bind a model version to its fingerprint, or confirm the binding.

        Args:
            row: One row of `MODEL_VERSIONS`.

        Raises:
            FingerprintChanged: The name is bound to another fingerprint. Nothing is written.
        """
        (new,) = row.to_pylist()
        name = new["model_version"]
        known = self.model_versions.read(where=[("model_version", "==", name)]).to_pylist()
        if not known:
            # A merge, not an append: of two first registrations at once, one conflicts.
            self.model_versions.merge(row, metadata={"run_id": new["run_id"]})
            return _model_version(new)
        if known[0]["fingerprint"] != new["fingerprint"]:
            raise FingerprintChanged(
                f"model version {name!r} is registered with fingerprint "
                f"{known[0]['fingerprint']} ({known[0]['details']}) but answers with "
                f"{new['fingerprint']} ({new['details']}). A model version is immutable: restore "
                "the old model, or give the new one a new name in platform.yaml."
            )
        return _model_version(new)

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

    def vectors(self, model_version: str, version: int | None = None) -> ds.Dataset:
        """The rows of the embeddings that a model version uses, as a dataset to scan."""
        registered = self.model_versions.read(where=[("model_version", "==", model_version)])
        partition = (
            _model_version(registered.to_pylist()[0]).vectors_of
            if registered.num_rows
            else model_version
        )
        # Of the files of a partition; so no row needs to be looked at.
        return self.embeddings.dataset(version, where=[("model_version", "==", partition)])

    # -- what counts on which day -----------------------------------------------------------

    def contents_by_day(
        self,
        model_version: str,
        until: VersionsByDay,
        *,
        after: VersionsByDay | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Which contents count on which day, each with its vector (`dated.contents_by_day`).

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
            feeds = dated.Feeds(
                self.chunks.changes(after.chunks, until.chunks, dated.CHUNK_COLUMNS),
                self.documents.changes(after.documents, until.documents, dated.DOCUMENT_COLUMNS),
            )
            if feeds.chunks.num_rows == feeds.documents.num_rows == 0:
                return
        yield from dated.contents_by_day(
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
        """Some chunks of some days, with their vectors (`dated.sample_of_days`)."""
        return dated.sample_of_days(
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
        return dated.count_days(
            self.chunks.dataset(versions.chunks), self.documents.dataset(versions.documents)
        )

    def versions_by_day(self, chunks_version: int | None = None) -> VersionsByDay:
        """The newest chunks (or a version of them), with the newest documents."""
        chunks_id, newest = self.chunks.identity()
        documents_id, documents = self.documents.identity()
        chunks = newest if chunks_version is None else chunks_version
        return VersionsByDay(chunks_id, chunks, documents_id, documents)

    # -- care -------------------------------------------------------------------------------

    def optimize(self) -> dict[str, int]:
        """Compact small files of every table; returns files removed by table."""
        return {
            table.spec.name: int(table.optimize().get("numFilesRemoved", 0))
            for table in self.tables()
        }

    def vacuum(self, retention_hours: int = 168) -> dict[str, int]:
        """Delete unreferenced files of every table; returns files deleted by table.

        The versions of every snapshot that a generation in `index_state` is proven equal to stay
        readable, however old; a dropped generation holds nothing back.
        """
        used = self.index_state.read(
            ["chunks_version", "embeddings_version"], where=[("status", "!=", "dropped")]
        ).to_pylist()
        keep = {
            "chunks": [row["chunks_version"] for row in used if row["chunks_version"] is not None],
            "embeddings": [
                row["embeddings_version"] for row in used if row["embeddings_version"] is not None
            ],
        }
        return {
            table.spec.name: len(table.vacuum(keep.get(table.spec.name, []), retention_hours))
            for table in self.tables()
        }


def _model_version(row: Mapping[str, Any]) -> ModelVersion:
    """A row of `model_versions`. One that shares another's vectors says so in its lineage."""
    lineage = json.loads(row["details"]).get("lineage") or {}
    name = row["model_version"]
    return ModelVersion(name, row["fingerprint"], row["dimension"], lineage.get("vectors_of", name))


def run_metadata(run_id: str, what: str) -> Metadata:
    """Commit metadata that says which run wrote a version and why."""
    return {"run_id": run_id, "what": what}
