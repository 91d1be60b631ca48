"""Does a model version still find what the champion found? Paired, on the golden queries.

Belongs here: which record is the champion's, and the comparison.

The champion is the live model. Its record is its evaluation when it went live: the newest one
from before, or the first one after. So the live model is compared with itself at its release, which
is how a slow decline is seen, and a challenger with what readers were promised. A rebuild of the
same model is no new promise: the record stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vector_platform.errors import TerminalError
from vector_platform.lake.evaluations import Evaluation, evaluations_of, judged_alike
from vector_platform.lake.lake import Lake
from vector_platform.quality.retrieval.comparison import Comparison, compare_scores
from vector_platform.releases.pointer.live import LivePointer


class NotEvaluated(TerminalError):
    """The model version has no evaluation to compare."""


@dataclass(frozen=True)
class QualityVerdict:
    """A model version against the champion.

    Attributes:
        evaluation: The newest evaluation of the model version.
        champion: The champion's record; None when nothing is live or it was never evaluated.
        comparison: The paired comparison; None without a champion or a query judged alike.
        why: Why there is no comparison.
    """

    evaluation: Evaluation
    champion: Evaluation | None
    comparison: Comparison | None
    why: str

    @property
    def holds(self) -> bool:
        """Whether the model is not shown to be worse. Undecided is not worse, and says so."""
        return self.comparison is None or self.comparison.verdict != "worse"

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata and JSON."""
        compared = self.comparison.facts() if self.comparison else {"verdict": self.why}
        return {
            "value": round(self.evaluation.value, 6),
            **({"champion_value": round(self.champion.value, 6)} if self.champion else {}),
            **compared,
            "evaluation_id": self.evaluation.evaluation_id,
            **(
                {
                    "champion": self.champion.model_version,
                    "champion_evaluation_id": self.champion.evaluation_id,
                }
                if self.champion
                else {}
            ),
        }


def compare_with_champion(
    lake: Lake, pointers: Sequence[LivePointer], model_version: str, *, metric: str
) -> QualityVerdict:
    """Compare the newest evaluation of a model version with the champion's record.

    Queries that only one of the two has answered, or that were judged otherwise then (the golden
    set has changed, or the quarantine), are left out. Too few that are left decide nothing.

    Args:
        lake: Where evaluations are.
        pointers: Live pointers of the backends; the first that serves anything counts.
        model_version: Which model.
        metric: Compared by.

    Raises:
        NotEvaluated: The model version has never been evaluated.
    """
    evaluations = evaluations_of(lake, metric)
    mine = [found for found in evaluations if found.model_version == model_version]
    if not mine:
        raise NotEvaluated(f"{model_version} has no evaluation: materialise quality/retrieval")
    history = next((moves for pointer in pointers if (moves := pointer.history())), [])
    if not history:
        return QualityVerdict(mine[-1], None, None, "nothing is live yet")
    live = history[-1].model_version
    since = next(
        move
        for place, move in enumerate(history)
        if all(later.model_version == live for later in history[place:])
    )
    theirs = [found for found in evaluations if found.model_version == live]
    before = [found for found in theirs if found.evaluated_at <= since.released_at]
    champion = before[-1] if before else next(iter(theirs), None)
    if champion is None:
        return QualityVerdict(mine[-1], None, None, f"{live} is not evaluated")
    if champion.evaluation_id == mine[-1].evaluation_id:
        return QualityVerdict(mine[-1], champion, None, "this evaluation is the champion's record")
    common = judged_alike(champion, mine[-1])
    if not common:
        return QualityVerdict(mine[-1], champion, None, "no golden query was judged alike in both")
    comparison = compare_scores(
        {query: champion.scores[query] for query in common},
        {query: mine[-1].scores[query] for query in common},
        metric=metric,
    )
    return QualityVerdict(mine[-1], champion, comparison, "")
