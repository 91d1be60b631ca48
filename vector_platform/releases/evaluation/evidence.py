"""What is known of a generation that asks to be released, as plain values that can be kept.

Belongs here: the values, and reading kept ones back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from vector_platform.quality.recall.index_recall import IndexRecall, SliceRecall
from vector_platform.quality.recall.intervals import Recall
from vector_platform.releases.evaluation.changed_answers import ChangedAnswer

Change = Literal["first", "rebuild", "index_spec", "model"]


@dataclass(frozen=True)
class QualityScores:
    """Per-query scores of the live model and of the one that would replace it.

    Attributes:
        metric: What was scored.
        champion: Query -> score of the live model.
        challenger: Query -> score of the other.
        slices: Query -> names of its slices.
        evaluation_ids: Where the scores are recorded.
        groups: Query -> the question it asks, where several ask the same.
        dead: Queries left out because no document that answers them is in the snapshot.
        seen: Queries left out because one of the two models was trained on them.
        identical: Whether both models gave the same answers to every query.
    """

    metric: str
    champion: Mapping[str, float]
    challenger: Mapping[str, float]
    slices: Mapping[str, tuple[str, ...]]
    evaluation_ids: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    dead: int = 0
    seen: int = 0
    identical: bool = False


@dataclass(frozen=True)
class Evidence:
    """What is known of a generation that asks to be released.

    Attributes:
        backend: Backend.
        index: Logical index.
        generation: The generation.
        model_version: Its model version.
        change: How it differs from what is live.
        champion: Generation that is live; None before the first release.
        measured_at: When, ISO 8601 with zone.
        snapshot: Snapshot that it was compared with.
        newest_snapshot: The lake's newest at that moment.
        differences: What the comparison found; empty when equal.
        rows: Rows compared.
        index_recall: What it finds of the exact neighbours; None when not measured.
        quality: Scores of both models; None when they were not scored, or are one model.
        same_vectors: Whether both generations hold vectors of one model fingerprint.
        champion_ms: Latency of each probe query on the live generation, milliseconds.
        challenger_ms: Latency of each probe query on this one.
        changed: Queries that another model answers differently, those that changed most.
    """

    backend: str
    index: str
    generation: str
    model_version: str
    change: Change
    champion: str | None
    measured_at: str
    snapshot: str
    newest_snapshot: str
    differences: str
    rows: int
    index_recall: IndexRecall | None = None
    quality: QualityScores | None = None
    same_vectors: bool = False
    champion_ms: tuple[float, ...] = ()
    challenger_ms: tuple[float, ...] = ()
    changed: tuple[ChangedAnswer, ...] = ()

    def facts(self) -> dict[str, Any]:
        """The evidence as plain values, to be kept; `evidence_of` reads it back."""
        return asdict(self)


def evidence_of(facts: Mapping[str, Any]) -> Evidence:
    """Evidence from its kept facts."""
    quality, index_recall = facts["quality"], facts["index_recall"]
    return Evidence(
        **{
            **facts,
            "index_recall": IndexRecall(
                **{
                    **index_recall,
                    "recall": Recall(**index_recall["recall"]),
                    "slices": tuple(
                        SliceRecall(**{**each, "recall": Recall(**each["recall"])})
                        for each in index_recall["slices"]
                    ),
                }
            )
            if index_recall
            else None,
            "quality": QualityScores(
                **{
                    **quality,
                    "evaluation_ids": tuple(quality["evaluation_ids"]),
                    "slices": {query: tuple(own) for query, own in quality["slices"].items()},
                }
            )
            if quality
            else None,
            "champion_ms": tuple(facts["champion_ms"]),
            "challenger_ms": tuple(facts["challenger_ms"]),
            "changed": tuple(
                ChangedAnswer(
                    **{**each, "before": tuple(each["before"]), "after": tuple(each["after"])}
                )
                for each in facts["changed"]
            ),
        }
    )
