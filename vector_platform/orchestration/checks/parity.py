"""Parity checks: an index equals the snapshot it claims to be built from.

Belongs here: `index_matches_lake` and `every_row_is_indexed` of every backend. Does not belong
here: the comparison (`indexes/verify.py`) or the repair. An unreachable backend is an error,
never a failed check.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from typing import Any

import dagster as dg

from vector_platform.indexes.rejected import RejectedRows
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.verify import Verification
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
        description="Every id and digest of the live and of the newest generation, read back per "
        "tenant through the path queries use, equals the lake; sampled vectors too. After a sync "
        "of changes, what it touched.",
    )
    def index_matches_lake(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        model_version = context.partition_key
        with retry_by_type():
            sync = platform.index_sync(backend, run_id=context.run.run_id)
            states = _following(platform, backend, model_version)
            unread = [
                state
                for state in states
                if state.run_id != context.run.run_id or sync.prover.full_is_due(state)
            ]
            if not unread:
                return _proven_by_its_sync(states[-1])
            proofs = {state.generation: sync.verify(state) for state in unread}
        # Of several generations, the numbers are those of the first that differs.
        shown = min(proofs, key=lambda name: proofs[name].clean)
        return dg.AssetCheckResult(
            passed=all(proof.clean for proof in proofs.values()),
            metadata={
                **proof_metadata(proofs[shown]),
                "generation": shown,
                "generations_compared": len(proofs),
                "what_to_do": f"vector-platform index repair --backend {backend} "
                f"--model {model_version}, or the job repair_index, rewrites exactly what differs.",
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
        description="The backend has refused no row of the live and of the newest generation; "
        "refused ones are in the lake table rejected_rows, with the backend's reason.",
    )
    def every_row_is_indexed(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        with retry_by_type():
            states = _following(platform, backend, context.partition_key)
            rows = [row for state in states for row in RejectedRows(platform.lake, state).rows()]
        return dg.AssetCheckResult(
            passed=not rows,
            metadata={
                "refused": len(rows),
                "generations": ", ".join(state.generation for state in states),
                "sample": dg.MetadataValue.json(
                    [
                        {name: row[name] for name in ("id", "tenant", "uri", "reason")}
                        for row in rows[:10]
                    ]
                ),
                "what_to_do": "Mend the documents at their source: a changed row is tried again "
                "and leaves the table by itself.",
            },
        )

    return every_row_is_indexed


def proof_metadata(proof: Verification) -> dict[str, Any]:
    """A proof as metadata of a check: numbers first, samples as JSON."""
    facts = proof.facts()
    samples = facts.pop("samples")
    return facts | {"samples": dg.MetadataValue.json(samples)}


def _following(
    platform: Platform, backend: BackendName, model_version: str
) -> list[GenerationState]:
    states = platform.live_pointer(backend).following(model_version)
    if not states:
        raise dg.Failure(f"{backend} has no generation of {model_version} to check")
    return states
