"""Keep or return: does a generation that has just gone live stay within its band?

Belongs here: the pure decision from measurements of the generation before and the live one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vector_platform.quality.retrieval.comparison import MIN_QUERIES, compare_scores
from vector_platform.releases.gates.gates import UNNOTICED_MS, latency_ratio
from vector_platform.settings import Releases

Action = Literal["keep", "return"]


@dataclass(frozen=True)
class Measured:
    """What one generation answered to the probes.

    Attributes:
        latencies_ms: Latency of every probe, in the order of the probes; None without an answer.
        scores: Score of every golden query; empty without golden queries.
    """

    latencies_ms: tuple[float | None, ...]
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def probes(self) -> int:
        """Probes that were asked."""
        return len(self.latencies_ms)

    @property
    def errors(self) -> int:
        """Probes that got no answer."""
        return sum(latency is None for latency in self.latencies_ms)

    @property
    def error_share(self) -> float:
        """Share of the probes without an answer."""
        return self.errors / self.probes if self.probes else 0.0


@dataclass(frozen=True)
class BakeVerdict:
    """The decision, with everything it rests on."""

    action: Action
    why: str
    numbers: Mapping[str, float | int]


def judge_release(before: Measured, after: Measured, band: Releases) -> BakeVerdict:
    """Decide whether a live generation stays.

    It goes back when errors, latency or quality are *proven* to have left the band; few or
    noisy numbers keep it, since it has passed the gates. The checks are repeated while it is
    in its bake period.

    Args:
        before: The previous generation, asked the same probes at the same moment.
        after: The live one.
        band: `monitor_max_errors`, `max_latency_ratio` and `quality_margin` of the policy.
    """
    numbers: dict[str, float | int] = {
        "probes": after.probes,
        "error_share": round(after.error_share, 4),
        "error_share_before": round(before.error_share, 4),
    }
    reasons = []
    if after.error_share - before.error_share > band.monitor_max_errors:
        reasons.append(
            f"{after.error_share:.1%} of the probes fail, {before.error_share:.1%} before"
        )
    reasons += _slower(before, after, band, numbers)
    if len(after.scores) >= MIN_QUERIES and set(after.scores) == set(before.scores):
        found = compare_scores(before.scores, after.scores)
        numbers["difference"] = round(found.difference.mean, 6)
        numbers["difference_high"] = round(found.difference.high, 6)
        if found.difference.high < 0 and found.difference.mean < -band.quality_margin:
            reasons.append(
                f"quality is {-found.difference.mean:.4f} lower on {found.difference.count} queries"
            )
    if reasons:
        return BakeVerdict("return", "; ".join(reasons), numbers)
    return BakeVerdict("keep", "errors, latency and quality stay within their band", numbers)


def _slower(
    before: Measured, after: Measured, band: Releases, numbers: dict[str, float | int]
) -> list[str]:
    # Only probes that both have answered: a ratio is paired, and a failed probe shifts no other.
    pairs = [
        pair
        for pair in zip(before.latencies_ms, after.latencies_ms, strict=True)
        if None not in pair
    ]
    if len(pairs) < MIN_QUERIES:
        return []
    old, new = np.array(pairs, float).T
    ratio, low = latency_ratio(old, new)
    p95 = float(np.percentile(new, 95))
    numbers |= {"p95_ms": round(p95, 3), "latency_ratio": round(ratio, 4)}
    if p95 > UNNOTICED_MS and low > band.max_latency_ratio:
        return [f"p95 latency is {ratio:.1f} times that before"]
    return []
