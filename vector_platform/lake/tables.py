"""The tables of the lake: which there are, their snapshots, model versions, and upkeep.

Belongs here: what is stored. What follows from it for a consumer is in `lake.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from vector_platform.lake import contract
from vector_platform.lake.snapshots import (
    FingerprintChanged,
    ModelVersion,
    Snapshot,
    UnknownModelVersion,
    VersionsByDay,
)
from vector_platform.lake.storage.commits import Metadata
from vector_platform.lake.storage.tables import Table


class LakeTables:
    """All tables below one root.

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

    def versions_by_day(self) -> VersionsByDay:
        """The newest chunks, with the newest documents."""
        chunks_id, chunks = self.chunks.identity()
        documents_id, documents = self.documents.identity()
        return VersionsByDay(chunks_id, chunks, documents_id, documents)

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
