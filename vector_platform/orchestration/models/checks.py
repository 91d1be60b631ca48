"""Model checks: does a model version still answer as it did when it was registered? Blocking.

Belongs here: `model_answers_as_registered`. A model that cannot be asked is an error, never a
failed check.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Sequence
from typing import Any

import dagster as dg

from vector_platform.lake.evaluations import evaluation_history
from vector_platform.models.canaries.answers import groups_of
from vector_platform.models.canaries.monitor import KIND, ModelMonitor, Verdict
from vector_platform.models.canaries.symptoms import reading
from vector_platform.models.given.reproduction import reproduction_facts
from vector_platform.models.given.version import GivenEmbedder
from vector_platform.orchestration import keys
from vector_platform.orchestration.runs.checks import model_check
from vector_platform.orchestration.showing import picture, shown_table
from vector_platform.quality.pictures.check_pictures import canary_distances, time_line
from vector_platform.quality.pictures.markdown import quote
from vector_platform.remediation import checks
from vector_platform.remediation.next_steps import what_happens
from vector_platform.settings import Settings
from vector_platform.wiring import Platform

# Canaries in the table: those that differ most.
SHOWN = 8


def build_model_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The canary check of `lake/embeddings`."""

    @model_check(settings, keys.EMBEDDINGS, checks.CANARY)
    def check(platform: Platform, model_version: str, run_id: str) -> dg.AssetCheckResult:
        embedder = platform.embedder(model_version)
        if isinstance(embedder, GivenEmbedder):
            return _nobody_answers(platform, embedder)
        monitor = ModelMonitor(platform.lake, embedder, run_id=run_id)
        verdict = monitor.recorded()
        if verdict is None:
            # The check by itself: it judges, and the next embedding run moves the vectors.
            verdict = monitor.probe()
            monitor.record(verdict)
        texts = monitor.texts(verdict.registered_runtime)
        facts = verdict.facts()
        return dg.AssetCheckResult(
            passed=verdict.passed,
            metadata={
                **{name: fact for name, fact in facts.items() if name != "distances"},
                **_pictures(platform, verdict, model_version),
                **({} if verdict.passed else {"canary_texts": _table(verdict, texts)}),
                "diagnosis": reading(
                    texts,
                    verdict.distances,
                    tolerance=verdict.tolerance,
                    least_cosine=verdict.least_cosine,
                    fingerprint_matches=verdict.fingerprint_matches,
                ),
                "what_happens": _what_happens(verdict, model_version, platform.settings),
            },
        )

    return [check]


def _nobody_answers(platform: Platform, given: GivenEmbedder) -> dg.AssetCheckResult:
    """Of a version whose vectors are given: what was compared with them, if anything."""
    why = given.queries_problem()
    said = f"It {why}." if why else "Its query model makes a sample of them."
    return dg.AssetCheckResult(
        passed=True,
        metadata={
            **reproduction_facts(platform.lake, given),
            "diagnosis": f"Not measured: the vectors are given, so no model of the platform's "
            f"answers for them. {said}",
            "what_happens": "Nothing. A row whose vector is not that of its text ends the run of "
            "lake/embeddings by its name.",
        },
    )


def _pictures(platform: Platform, verdict: Verdict, model_version: str) -> dict[str, Any]:
    """How far each canary is from its registered vector, and the farthest over time."""
    title = f"{model_version}: {verdict.canaries_differing} of {verdict.canaries} canaries differ"
    dots = canary_distances(
        verdict.distances,
        groups_of(len(verdict.distances)),
        tolerance=verdict.tolerance,
        title=title,
    )
    shown: dict[str, Any] = {"picture": picture(dots, title)}
    past = evaluation_history(platform.lake, KIND, model_version)
    if len(past) > 1:
        title = f"canaries of {model_version} over time: the farthest"
        line = time_line(
            [each.at for each in past],
            {model_version: [each.value for each in past]},
            threshold=verdict.tolerance,
            threshold_name=f"tolerance {verdict.tolerance:.1g}",
            measured="largest difference\n(0: at 1e-9)",
            title=title,
            logarithmic=True,
        )
        shown["timeline"] = picture(line, title)
    return shown


def _table(verdict: Verdict, texts: Sequence[str]) -> dg.MarkdownMetadataValue:
    """The texts whose vectors are farthest from the registered ones."""
    groups = groups_of(len(texts))
    farthest = sorted(range(len(texts)), key=lambda place: (-verdict.distances[place], place))
    return shown_table(
        ("canary", "group", "characters", "largest difference", "text"),
        (
            (
                place,
                groups[place],
                len(texts[place]),
                f"{verdict.distances[place]:.2g}",
                quote(texts[place]),
            )
            for place in farthest[:SHOWN]
        ),
    )


def _what_happens(verdict: Verdict, model_version: str, settings: Settings) -> str:
    if verdict.passed:
        return "Nothing: the model is the one that was registered."
    follows = what_happens(checks.CANARY, settings, passed=False, model_version=model_version)
    return (
        f"{model_version} embeds nothing more. Vectors that came since it last answered as "
        "registered go to quarantined_vectors, and no index takes a snapshot without them. Restore "
        "the model and materialise lake/embeddings again, which embeds them anew; or give the "
        f"changed model a new name in platform.yaml. {follows}"
    )
