"""Parity checks: an index equals the snapshot it claims to be built from.

Belongs here: `index_matches_lake` and `every_row_is_indexed` of every backend. Does not belong
here: the comparison (`indexes/verify.py`) or the repair. An unreachable backend is an error,
never a failed check.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import dagster as dg

from vector_platform.indexes.rejected import RejectedRows
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync import IndexSync
from vector_platform.orchestration import keys
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.retries import retry_by_type
from vector_platform.settings import BackendName, Settings
from vector_platform.wiring import Platform


def build_parity_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Two checks a configured backend."""
    return [
        build(settings, backend)
        for backend in settings.indexes.backends
        for build in (_parity_check, _refused_check)
    ]


def _parity_check(settings: Settings, backend: BackendName) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.index(backend, settings),
        name=keys.INDEX_MATCHES,
        partitions_def=model_versions(settings),
        description="Every id and digest of the newest generation, read back per tenant through "
        "the path queries use, equals the lake; sampled vectors too. After a sync of changes, "
        "what it touched.",
    )
    def index_matches_lake(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        model_version = context.partition_key
        with retry_by_type():
            sync = platform.index_sync(backend, run_id=context.run.run_id)
            state = _newest(sync, backend, model_version)
            if state.run_id == context.run.run_id and not sync.full_proof_is_due(state):
                return _proven_by_its_sync(state)
            proof = sync.verify(state)
        facts = proof.facts()
        return dg.AssetCheckResult(
            passed=proof.clean,
            metadata={
                **{key: value for key, value in facts.items() if key != "samples"},
                "generation": state.generation,
                "samples": dg.MetadataValue.json(facts["samples"]),
                "what_to_do": f"vector-platform index repair --backend {backend} "
                f"--model {model_version} rewrites exactly what differs.",
            },
        )

    return index_matches_lake


def _proven_by_its_sync(state: GenerationState) -> dg.AssetCheckResult:
    """The verdict of the sync of the same run, which has read back what it touched.

    A generation that its sync could not prove is not `proven`, whatever else happened.
    """
    assert state.fully_proven_at is not None
    return dg.AssetCheckResult(
        passed=state.status == "proven",
        metadata={
            "rows": state.rows,
            "generation": state.generation,
            "snapshot": str(state.snapshot),
            "scope": "changes",
            "fully_proven_at": dg.MetadataValue.timestamp(state.fully_proven_at),
            "what_this_means": "What the sync touched was read back. Everything is read back when "
            "that is due (guard.full_proof_hours), when a sync finds nothing to do, and when this "
            "check is run by itself.",
        },
    )


def _refused_check(settings: Settings, backend: BackendName) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.index(backend, settings),
        name=keys.EVERY_ROW_INDEXED,
        partitions_def=model_versions(settings),
        description="The backend has refused no row of the newest generation; refused ones are in "
        "the lake table rejected_rows, with the backend's reason.",
    )
    def every_row_is_indexed(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        with retry_by_type():
            sync = platform.index_sync(backend, run_id=context.run.run_id)
            state = _newest(sync, backend, context.partition_key)
            rows = RejectedRows(platform.lake, state).rows()
        return dg.AssetCheckResult(
            passed=not rows,
            metadata={
                "refused": len(rows),
                "generation": state.generation,
                "sample": dg.MetadataValue.json(
                    [{name: row[name] for name in ("id", "tenant", "reason")} for row in rows[:10]]
                ),
                "what_to_do": "Mend the documents at their source: a changed row is tried again "
                "and leaves the table by itself.",
            },
        )

    return every_row_is_indexed


def _newest(sync: IndexSync, backend: BackendName, model_version: str) -> GenerationState:
    state = sync.states.newest(model_version)
    if state is None:
        raise dg.Failure(f"{backend} has no generation of {model_version} to check")
    return state
