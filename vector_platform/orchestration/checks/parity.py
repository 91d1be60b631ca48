"""Parity checks: an index equals the snapshot it claims to be built from.

Belongs here: `index_matches_lake` of every backend. Does not belong here: the comparison
(`indexes/verify.py`) or the repair. An unreachable backend is an error, never a failed check.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.retries import retry_by_type
from vector_platform.settings import BackendName, Settings
from vector_platform.wiring import Platform


def build_parity_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """One check a configured backend."""
    return [_parity_check(settings, backend) for backend in settings.indexes.backends]


def _parity_check(settings: Settings, backend: BackendName) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.index(backend, settings),
        name=keys.INDEX_MATCHES,
        partitions_def=model_versions(settings),
        description="Every id and digest of the newest generation, read back per tenant through "
        "the path queries use, equals the lake; sampled vectors too.",
    )
    def index_matches_lake(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        model_version = context.partition_key
        with retry_by_type():
            sync = platform.index_sync(backend, run_id=context.run.run_id)
            state = sync.states.newest(model_version)
            if state is None:
                raise dg.Failure(f"{backend} has no generation of {model_version} to verify")
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
