"""Contract checks: what must hold before anything downstream may run. All blocking.

Belongs here: assertions that the lake's contract makes. Does not belong here: judgements about
quality or drift, which never block.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import dagster as dg

from vector_platform.lake.audit import Finding, audit_chunks, audit_vectors
from vector_platform.orchestration import keys
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.retries import retry_by_type
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


def build_contract_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Blocking checks of `lake/chunks` and `lake/embeddings`."""

    @dg.asset_check(
        asset=keys.CHUNKS,
        blocking=True,
        description="Ids are unique and fit both backends, tenants and attributes are admissible, "
        "and every content hash is the hash of its content.",
    )
    def chunks_keep_the_contract(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
        with retry_by_type():
            return audited_chunks(platform)

    @dg.asset_check(
        asset=keys.EMBEDDINGS,
        blocking=True,
        partitions_def=model_versions(settings),
        description="Every content of the chunks has a vector under the model version.",
    )
    def every_chunk_is_embedded(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        model_version = context.partition_key
        with retry_by_type():
            missing = platform.lake.count_missing(model_version, platform.lake.snapshot())
        return dg.AssetCheckResult(
            passed=missing == 0,
            metadata={
                "contents_missing": missing,
                "what_to_do": f"Materialise lake/embeddings for {model_version}; it embeds only "
                "what is missing.",
            },
        )

    @dg.asset_check(
        asset=keys.EMBEDDINGS,
        blocking=True,
        partitions_def=model_versions(settings),
        description="Vectors have the registered dimension, are finite and of unit norm, come "
        "from the registered fingerprint, and are unique by content.",
    )
    def vectors_keep_the_contract(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        with retry_by_type():
            vectors_of = platform.lake.model_version(context.partition_key).vectors_of
            return _result(audit_vectors(platform.lake, vectors_of))

    return [chunks_keep_the_contract, every_chunk_is_embedded, vectors_keep_the_contract]


def audited_chunks(platform: Platform) -> dg.AssetCheckResult:
    """What `chunks_keep_the_contract` says of the chunks as they are."""
    return _result(audit_chunks(platform.lake))


def _result(findings: list[Finding]) -> dg.AssetCheckResult:
    """Passed when no finding counts a row; every finding is listed with its rows."""
    broken = [finding for finding in findings if finding.rows]
    return dg.AssetCheckResult(
        passed=not broken,
        metadata={
            "violations": sum(finding.rows for finding in broken),
            **{f"rows_breaking_{finding.rule}": finding.rows for finding in findings},
            "sample": dg.MetadataValue.json({f.rule: f.sample for f in broken}),
        },
    )
