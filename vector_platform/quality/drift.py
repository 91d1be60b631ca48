"""Has the distribution of vectors changed? A two-sample test with an exact permutation null.

Belongs here: the test and its effect size, over two arrays. Does not belong here: which rows are
the two samples (`windows.py`), pictures (`plots.py`), or what to do about drift.

The statistic looks at two things. The difference of means in the whitened principal directions
of the pooled sample sees shifts that are small beside the spread of a corpus; the difference of
means of random Fourier features (an approximate maximum mean discrepancy, Rahimi and Recht 2007,
Gretton et al. 2012) sees changes of shape. Each is standardised over all permutations and the
larger counts. Features depend on the pooled sample only and the observed split is one of the
permutations, so the p-value is valid for any sample size as long as rows are exchangeable when
nothing has changed. Rows are the unit: a batch that differs from day to day by habit will alarm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vector_platform.quality.features import fourier, reduced, row_hashes, whitened

Floats = npt.NDArray[np.float32]
Outcome = Literal["drifted", "stable", "not enough data"]

# Permutations: p = alpha is reached by the fifth most extreme of them, 199 at the least.
EXTREMES_AT_ALPHA = 5
MIN_PERMUTATIONS = 199
# Permutations multiplied at a time: 250 x 4,000 float32 are 4 MB.
PERMUTATION_BLOCK = 250
EFFECT_RESAMPLES = 500
# Spread of distances a row that float32 sums of equal rows have by themselves: about 1e-8.
ROUNDING_SPREAD = 1e-6
FARTHEST = 10


@dataclass(frozen=True)
class DriftResult:
    """The outcome of a two-sample test.

    Attributes:
        outcome: `drifted` when p <= alpha; `not enough data` is never an alarm.
        statistic: Larger of the two standardised distances; 0 when not measured.
        p_value: Of the permutation test; 1 when not measured.
        effect: Chance that a current row lies further along the direction of change than a
            reference row (area under the ROC curve of a cross-fitted linear witness); .5 means
            no difference.
        effect_low: Lower end of its 95 % bootstrap interval.
        effect_high: Upper end.
        reference_rows: Reference rows that entered the test.
        current_rows: Current rows that entered the test.
        alpha: Level of the test.
        evaluation_id: Hash of everything the result depends on: the same data, the same id.
        farthest: Current rows that resemble no reference row, the strangest first.
    """

    outcome: Outcome
    statistic: float
    p_value: float
    effect: float
    effect_low: float
    effect_high: float
    reference_rows: int
    current_rows: int
    alpha: float
    evaluation_id: str
    farthest: tuple[str, ...] = ()

    @property
    def drifted(self) -> bool:
        """Whether this is an alarm."""
        return self.outcome == "drifted"

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata and JSON."""
        return {
            "statistic": round(self.statistic, 4),
            "p_value": self.p_value,
            "effect_auc": round(self.effect, 4),
            "effect_auc_low": round(self.effect_low, 4),
            "effect_auc_high": round(self.effect_high, 4),
            "reference_rows": self.reference_rows,
            "current_rows": self.current_rows,
            "alpha": self.alpha,
            "outcome": self.outcome,
            "evaluation_id": self.evaluation_id,
            "farthest": list(self.farthest),
        }


def two_sample(
    reference: Floats,
    current: Floats,
    *,
    alpha: float,
    seed: int = 0,
    min_rows: int = 50,
    current_ids: Sequence[str] | None = None,
) -> DriftResult:
    """Test whether two samples of vectors come from one distribution.

    Deterministic, and independent of the order of the rows: a side with more than
    `features.MAX_ROWS` rows is reduced to those with the smallest seeded hashes.

    Args:
        reference: Vectors taken as normal, shape (rows, dimension).
        current: Vectors to judge, same dimension.
        alpha: Chance of a false alarm that is accepted.
        seed: Of features, permutations and row hashes.
        min_rows: A side with fewer rows gives `not enough data`.
        current_ids: Names of the current rows for `farthest`; their places when not given.
    """
    names = list(current_ids) if current_ids is not None else [str(i) for i in range(len(current))]
    reference, _ = reduced(np.asarray(reference, np.float32), seed)
    current, chosen = reduced(np.asarray(current, np.float32), seed)
    names = [names[place] for place in chosen]
    evaluation_id = _evaluation_id(reference, current, alpha, seed, min_rows)
    if min(len(reference), len(current)) < max(min_rows, 2):
        return DriftResult(
            "not enough data",
            0.0,
            1.0,
            *(0.5, 0.0, 1.0),
            len(reference),
            len(current),
            alpha,
            evaluation_id,
        )
    rng = np.random.default_rng(seed)
    pooled = np.concatenate([reference, current])
    order = np.argsort(row_hashes(pooled, seed), kind="stable")
    pooled, is_current = pooled[order], order >= len(reference)
    components = whitened(pooled)
    statistic, p_value = _permutation_test(
        (components, fourier(pooled, rng)), is_current, alpha, rng
    )
    effect, low, high = _witness_auc(components, is_current, rng)
    return DriftResult(
        outcome="drifted" if p_value <= alpha else "stable",
        statistic=statistic,
        p_value=p_value,
        effect=effect,
        effect_low=low,
        effect_high=high,
        reference_rows=len(reference),
        current_rows=len(current),
        alpha=alpha,
        evaluation_id=evaluation_id,
        farthest=tuple(names[place] for place in _farthest(reference, current)),
    )


def _evaluation_id(
    reference: Floats, current: Floats, alpha: float, seed: int, min_rows: int
) -> str:
    digest = hashlib.sha256(repr((alpha, seed, min_rows, reference.shape, current.shape)).encode())
    digest.update(reference.tobytes())
    digest.update(current.tobytes())
    return digest.hexdigest()[:32]


def _permutation_test(
    features: tuple[Floats, ...],
    is_current: npt.NDArray[np.bool_],
    alpha: float,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """The largest standardised distance of means, and its place among permuted splits.

    Features are centred, so the distance of the two means is, up to a constant that no
    permutation changes, the length of the sum over the current rows.
    """
    permutations = max(MIN_PERMUTATIONS, round(EXTREMES_AT_ALPHA / alpha) - 1)
    labels = is_current.astype(np.float32)
    distances = [np.empty(1 + permutations) for _ in features]
    for start in range(0, 1 + permutations, PERMUTATION_BLOCK):
        size = min(PERMUTATION_BLOCK, 1 + permutations - start)
        splits = rng.permuted(np.tile(labels, (size, 1)), axis=1)
        if start == 0:
            splits[0] = labels
        for values, out in zip(features, distances, strict=True):
            out[start : start + size] = np.square(splits @ values, dtype=np.float64).sum(axis=1)
    # Standardising over all splits, the observed one included, treats them alike.
    largest = np.max([_standardised(out, len(labels)) for out in distances], axis=0)
    # Rounding must not make a tie look like a smaller value.
    extreme = int((largest[1:] >= largest[0] - 1e-6 * (1 + abs(largest[0]))).sum())
    return float(largest[0]), (1 + extreme) / (1 + permutations)


def _standardised(distances: npt.NDArray[np.float64], rows: int) -> npt.NDArray[np.float64]:
    """Distances of all splits in standard deviations; zero where rounding is all their spread.

    Features have about unit variance, so real distances spread in proportion to the rows.
    """
    spread = distances.std()
    if spread <= ROUNDING_SPREAD * rows:
        return np.zeros_like(distances)
    return np.asarray((distances - distances.mean()) / spread)


def _witness_auc(
    components: Floats, is_current: npt.NDArray[np.bool_], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Cross-fitted AUC of the direction between the means, with a bootstrap interval.

    The direction is found on one half of the rows and judged on the other, both ways.
    """
    halves = []
    for judged in (0, 1):
        fitted = slice(1 - judged, None, 2)
        side = is_current[fitted]
        if side.all() or not side.any():
            return 0.5, 0.0, 1.0
        direction = components[fitted][side].mean(axis=0) - components[fitted][~side].mean(axis=0)
        scores = components[judged::2] @ direction
        halves.append((scores[~is_current[judged::2]], scores[is_current[judged::2]]))
    if any(min(len(old), len(new)) == 0 for old, new in halves):
        return 0.5, 0.0, 1.0
    resampled = [
        np.mean([_auc(rng.choice(old, len(old)), rng.choice(new, len(new))) for old, new in halves])
        for _ in range(EFFECT_RESAMPLES)
    ]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(np.mean([_auc(*half) for half in halves])), float(low), float(high)


def _auc(old: Floats, new: Floats) -> float:
    """Share of pairs in which the new score is larger; ties count half (Mann-Whitney)."""
    old = np.sort(old)
    below = np.searchsorted(old, new, "left") + np.searchsorted(old, new, "right")
    return float(below.mean() / (2 * len(old)))


def _farthest(reference: Floats, current: Floats) -> npt.NDArray[np.intp]:
    """Current rows with the smallest similarity to their nearest reference row."""
    nearest = np.concatenate(
        [
            (current[start : start + 512] @ reference.T).max(axis=1)
            for start in range(0, len(current), 512)
        ]
    )
    return np.argsort(nearest, kind="stable")[:FARTHEST]
