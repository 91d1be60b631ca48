"""The lake as a whole: its tables, its snapshots, and what a consumer may derive from one.

Belongs here: how tables are read together. Does not belong here: what a row must look like
(`contract.py`), how one table is stored (`tables.py`), or any decision of a producer or consumer.

A **snapshot** is a pair of Delta versions (chunks, embeddings). Everything an index holds is a
function of a snapshot and a model version; `index_rows` is that function. Joins run in DuckDB
with a memory limit and spill to disk, so memory does not grow with the lake.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from vector_platform.errors import TerminalError
from vector_platform.lake import contract
from vector_platform.lake.joins import spilling_duckdb, stream
from vector_platform.lake.tables import HistoryUnavailable, Metadata, Table


@dataclass(frozen=True)
class Snapshot:
    """A pair of Delta versions that together determine the content of every index.

    Attributes:
        chunks: Version of the `chunks` table.
        embeddings: Version of the `embeddings` table.
        chunks_id: Delta's id of the `chunks` table; versions of another table do not compare.
    """

    chunks: int
    embeddings: int
    chunks_id: str = ""

    def __str__(self) -> str:
        return f"chunks@{self.chunks}+embeddings@{self.embeddings}"


@dataclass(frozen=True)
class ModelVersion:
    """The registered binding of a model version to its fingerprint."""

    name: str
    fingerprint: str
    dimension: int


class SnapshotIncomplete(TerminalError):
    """Chunks of a snapshot have no vector under a model version, so no index can be built."""


class UnknownModelVersion(TerminalError):
    """A model version that has never been embedded."""


class FingerprintChanged(TerminalError):
    """A known model version answers with another fingerprint than it was registered with."""


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
        self.model_versions = self._table(contract.MODEL_VERSIONS)
        self.golden_queries = self._table(contract.GOLDEN_QUERIES)
        self.index_state = self._table(contract.INDEX_STATE)
        self.releases = self._table(contract.RELEASES)
        self.evaluations = self._table(contract.EVALUATIONS)

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
        rows = self.model_versions.read(where=pc.field("model_version") == name).to_pylist()
        if not rows:
            raise UnknownModelVersion(
                f"model version {name!r} is not in the lake yet: materialise lake/embeddings "
                f"for the partition {name}"
            )
        return ModelVersion(name, rows[0]["fingerprint"], rows[0]["dimension"])

    def register_model(self, row: pa.Table) -> ModelVersion:
        """Bind a model version to its fingerprint, or confirm the binding.

        Args:
            row: One row of `MODEL_VERSIONS`.

        Raises:
            FingerprintChanged: The name is bound to another fingerprint. Nothing is written.
        """
        (new,) = row.to_pylist()
        name = new["model_version"]
        known = self.model_versions.read(where=pc.field("model_version") == name).to_pylist()
        if not known:
            # A merge, not an append: of two first registrations at once, one conflicts.
            self.model_versions.merge(row, metadata={"run_id": new["run_id"]})
            return ModelVersion(name, new["fingerprint"], new["dimension"])
        if known[0]["fingerprint"] != new["fingerprint"]:
            raise FingerprintChanged(
                f"model version {name!r} is registered with fingerprint "
                f"{known[0]['fingerprint']} ({known[0]['details']}) but answers with "
                f"{new['fingerprint']} ({new['details']}). A model version is immutable: restore "
                "the old model, or give the new one a new name in platform.yaml."
            )
        return ModelVersion(name, new["fingerprint"], new["dimension"])

    def missing_contents(
        self, model_version: str, *, chunks_version: int, batch_rows: int = 4096
    ) -> Iterator[pa.RecordBatch]:
        """Contents of the chunks that have no vector yet: batches of (content_hash, text).

        `text` is what the model sees (`contract.content_of`). Each content comes once.
        """
        chunks = self.chunks.dataset(chunks_version)
        vectors = self.vectors(model_version)
        with spilling_duckdb() as db:
            db.register("chunks", chunks)
            db.register("vectors", vectors)
            yield from stream(
                db,
                """
                SELECT content_hash,
                       any_value(
                           CASE WHEN title = '' THEN text ELSE title || chr(10) || text END
                       ) AS text
                FROM chunks
                WHERE content_hash NOT IN (SELECT content_hash FROM vectors)
                GROUP BY content_hash ORDER BY content_hash
                """,
                batch_rows=batch_rows,
            )

    def count_missing(self, model_version: str, snapshot: Snapshot) -> int:
        """Number of distinct contents of a snapshot without a vector under a model version."""
        with spilling_duckdb() as db:
            db.register("chunks", self.chunks.dataset(snapshot.chunks))
            db.register("vectors", self.vectors(model_version, snapshot.embeddings))
            row = db.execute(
                "SELECT count(DISTINCT content_hash) FROM chunks "
                "WHERE content_hash NOT IN (SELECT content_hash FROM vectors)"
            ).fetchone()
        return int(row[0]) if row else 0

    # -- what an index is made of -----------------------------------------------------------

    def index_keys(self, model_version: str, snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
        """Desired state of an index: batches of (id, tenant, digest). Reads no vector."""
        model = self.model_version(model_version)
        with spilling_duckdb() as db:
            db.register("chunks", self.chunks.dataset(snapshot.chunks))
            yield from stream(
                db,
                f"SELECT chunk_id AS id, tenant, {_DIGEST} AS digest FROM chunks c",
                fingerprint=model.fingerprint,
            )

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
        feed = self.chunks.changes(
            after.chunks,
            until.chunks,
            ["chunk_id", "tenant", "region", "attributes", "content_hash"],
        )
        with spilling_duckdb() as db:
            db.register("feed", feed)
            sides = []
            for kinds, order in (
                (("insert", "update_postimage"), "DESC"),
                (("delete", "update_preimage"), "ASC"),
            ):
                # The newest commit of an id tells how it is now, the oldest how it was; only if
                # that commit left (found) a row is there one.
                sides.append(
                    db.sql(
                        f"""
                        WITH edge AS (
                            SELECT *, rank() OVER (
                                PARTITION BY chunk_id ORDER BY _commit_version {order}) AS place
                            FROM feed
                        )
                        SELECT chunk_id AS id, tenant, {_DIGEST} AS digest
                        FROM edge c WHERE place = 1 AND _change_type IN {kinds}
                        """,
                        params={"fingerprint": model.fingerprint},
                    ).to_arrow_table()
                )
        return sides[0], sides[1]

    def index_rows(
        self,
        model_version: str,
        snapshot: Snapshot,
        *,
        ids: pa.Table | None = None,
        batch_rows: int = 2048,
    ) -> Iterator[pa.RecordBatch]:
        """Rows of an index as Arrow batches, for all chunks of a snapshot or for some.

        Args:
            model_version: Whose vectors.
            snapshot: Which chunks and vectors.
            ids: Table with a column `id`; None for all.
            batch_rows: Rows in a batch.

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
        with spilling_duckdb() as db:
            db.register("chunks", self.chunks.dataset(snapshot.chunks))
            db.register("vectors", self.vectors(model_version, snapshot.embeddings))
            if ids is not None:
                db.register("wanted", ids.select(["id"]))
            only = "WHERE c.chunk_id IN (SELECT id FROM wanted)" if ids is not None else ""
            yield from stream(
                db,
                f"""
                SELECT c.chunk_id AS id, c.tenant, {_DIGEST} AS digest, v.vector, c.region,
                       c.doc_id, c.title, c.text, c.attributes
                FROM chunks c JOIN vectors v USING (content_hash) {only}
                """,
                batch_rows=batch_rows,
                fingerprint=model.fingerprint,
            )

    def vectors(self, model_version: str, version: int | None = None) -> ds.Dataset:
        """One model version's rows of the embeddings, as a dataset to scan."""
        table = self.embeddings.dataset(version)
        return table.filter(pc.field("model_version") == model_version)

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
            ["chunks_version", "embeddings_version"], where=pc.field("status") != "dropped"
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


def run_metadata(run_id: str, what: str) -> Metadata:
    """Commit metadata that says which run wrote a version and why."""
    return {"run_id": run_id, "what": what}


# `contract.digest_of`, in SQL; a test holds the two together.
_DIGEST = (
    "substr(sha256(concat_ws(chr(31), c.content_hash, $fingerprint, c.tenant, c.region, "
    "c.attributes)), 1, 32)"
)
