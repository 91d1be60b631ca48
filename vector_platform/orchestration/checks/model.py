"""Model checks: does a model version still answer as it did when it was registered? Blocking.

Belongs here: `model_answers_as_registered`. Does not belong here: the comparison or the quarantine
(`models/watch.py`, `assets/embeddings.py`). A model that cannot be asked is an error, never a
failed check.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import dagster as dg

from vector_platform.models.watch import ModelWatch, Verdict
from vector_platform.orchestration import keys
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.retries import retry_by_type
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


def build_model_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The canary check of `lake/embeddings`."""

    @dg.asset_check(
        asset=keys.EMBEDDINGS,
        name=keys.MODEL_ANSWERS,
        blocking=True,
        partitions_def=model_versions(settings),
        description="The model gives its canary texts the vectors it gave them when it was "
        "registered, and has the registered fingerprint.",
    )
    def model_answers_as_registered(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        model_version = context.partition_key
        with retry_by_type():
            watch = ModelWatch(
                platform.lake, platform.embedder(model_version), run_id=context.run.run_id
            )
            verdict = watch.recorded()
            if verdict is None:
                # The check by itself: it judges, and the next embedding run moves the vectors.
                verdict = watch.probe()
                watch.record(verdict)
        facts = verdict.facts()
        return dg.AssetCheckResult(
            passed=verdict.passed,
            metadata={
                **{name: value for name, value in facts.items() if name != "differing"},
                "differing": dg.MetadataValue.json(facts["differing"]),
                "what_happens": _what_happens(verdict, model_version),
            },
        )

    return [model_answers_as_registered]


def _what_happens(verdict: Verdict, model_version: str) -> str:
    if verdict.passed:
        return "Nothing: the model is the one that was registered."
    return (
        f"{model_version} embeds nothing more. Vectors that came since it last answered as "
        "registered go to quarantined_vectors, and no index takes a snapshot without them. Restore "
        "the model and materialise lake/embeddings again, which embeds them anew; or give the "
        "changed model a new name in platform.yaml."
    )
