"""Is one model better than another? A paired comparison of their scores on the same queries.

Belongs here: the interval, the test and the verdict that the numbers support.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vector_platform.errors import TerminalError
from vector_platform.quality.statistics import Estimate, bootstrap_mean, sign_flip_p_value

if TYPE_CHECKING:
    from vector_platform.quality.retrieval.measures import QualityReport

Verdict = Literal["better", "not worse", "worse", "undecided"]

# Below this a bootstrap interval is too narrow to be believed.
MIN_QUERIES = 20
# Loss of a mean that nobody would notice: 0.01 nDCG needs about 820 queries to be seen.
DEFAULT_MARGIN = 0.01


class IncomparableReports(TerminalError):
    """Two reports that do not answer the same queries, so pairing them would mean nothing."""


@dataclass(frozen=True)
class Comparison:
    """A paired comparison: challenger minus champion, on the same queries.

    Attributes:
        metric: What was compared.
        difference: Mean difference with its interval; positive favours the challenger.
        p_value: Two-sided randomisation test of no difference.
        margin: Largest loss that counts as no loss.
        verdict: `better` (the interval is above 0), `not worse` (above -margin), `worse` (below
            0), else `undecided`: more queries are needed.
    """

    metric: str
    difference: Estimate
    p_value: float
    margin: float
    verdict: Verdict

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata, JSON and the evidence of a release."""
        return {
            "difference": round(self.difference.mean, 6),
            "difference_low": round(self.difference.low, 6),
            "difference_high": round(self.difference.high, 6),
            "p_value": self.p_value,
            "queries": self.difference.count,
            "margin": self.margin,
            "metric": self.metric,
            "verdict": self.verdict,
        }


def compare_reports(
    champion: QualityReport,
    challenger: QualityReport,
    *,
    metric: str = "nDCG@10",
    margin: float = DEFAULT_MARGIN,
    seed: int = 0,
) -> Comparison:
    """Compare two rankings of the same queries by one metric; see `compare_scores`."""
    return compare_scores(
        champion.per_query[metric],
        challenger.per_query[metric],
        metric=metric,
        margin=margin,
        seed=seed,
    )


def compare_scores(
    champion: Mapping[str, float],
    challenger: Mapping[str, float],
    *,
    metric: str = "nDCG@10",
    margin: float = DEFAULT_MARGIN,
    seed: int = 0,
) -> Comparison:
    """Compare scores on the same queries, pair by pair.

    Non-inferiority at one-sided 2.5 %: the lower end of the 95 % bootstrap interval must stay
    above -margin. `better` also asks the randomisation test for p <= .05, and fewer than
    `MIN_QUERIES` queries decide nothing.

    Raises:
        IncomparableReports: The two sides do not hold the same queries.
    """
    if set(champion) != set(challenger):
        raise IncomparableReports(
            f"{len(set(champion) ^ set(challenger))} queries are in one of the two reports only"
        )
    differences = np.array([challenger[query] - champion[query] for query in sorted(champion)])
    difference = bootstrap_mean(differences, seed=seed)
    p_value = sign_flip_p_value(differences, seed=seed)
    verdict: Verdict = "undecided"
    if len(differences) >= MIN_QUERIES:
        if difference.low > 0 and p_value <= 0.05:
            verdict = "better"
        elif difference.low > -margin:
            verdict = "not worse"
        elif difference.high < 0:
            verdict = "worse"
    return Comparison(metric, difference, p_value, margin, verdict)
