"""How much of a window do the reference days not explain? A lower bound, from counts alone.

Belongs here: the bound.

If a window is a mixture, (1 - x) of what the reference days hold and x of anything else, then
every event has a share of at most (1 - x) p + x in it, p being its share in the reference. So
x >= (share - p) / (1 - p), whatever the event. The events are the counted ones of the feature map
and one that is made for the window: the cells that grew, chosen on every other day and judged on
the days between, of window and reference alike. Shares vary from day to day by habit; the bound
allows for that with a t-interval over days, for all events at once (Bonferroni).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from vector_platform.quality.sketches.days import Days

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95


def novel_share_low(
    reference: Days,
    window: Days,
    *,
    events: slice,
    cells: slice,
    confidence: float = CONFIDENCE,
) -> float:
    """A share of the window's rows that the reference does not explain.

    Args:
        reference: Reference days, at least two.
        window: Days that are judged, at least one.
        events: Where counted events are among the features.
        cells: Where the counts of cells are.
        confidence: That the true share is not smaller.
    """
    wide = len(window.dates) > 1 and len(reference.dates) > 3
    alternatives = (events.stop - events.start) + (2 if wide else 0)
    each = 1 - (1 - confidence) / alternatives
    low = _excess(reference, window, reference.sums[:, events], window.sums[:, events], each)
    best = float(low.max())
    for half in (0, 1) if wide else ():
        chosen = _grown(_every_other(reference, half), _every_other(window, half), cells)
        old, new = _every_other(reference, 1 - half), _every_other(window, 1 - half)
        if chosen.any() and len(new.dates):
            before, now = (
                days.sums[:, cells][:, chosen].sum(axis=1)[:, None] for days in (old, new)
            )
            best = max(best, float(_excess(old, new, before, now, each)[0]))
    return max(0.0, best)


def event_low(
    reference: Days, window: Days, *, event: int, confidence: float = CONFIDENCE
) -> float:
    """The same from one event alone, whose column is named."""
    one = slice(event, event + 1)
    low = _excess(reference, window, reference.sums[:, one], window.sums[:, one], confidence)
    return max(0.0, float(low[0]))


def _excess(reference: Days, window: Days, old: Floats, new: Floats, confidence: float) -> Floats:
    """Lower bounds of x for events with these counts a day."""
    shares = old / reference.rows[:, None]
    normal = shares.mean(axis=0)
    found = new.sum(axis=0) / window.rows.sum()
    by_day = shares.var(axis=0, ddof=1)
    # Days of the window vary as those of the reference do, and at least as its rows must.
    chance = found * (1 - found) / window.rows.sum()
    error = np.sqrt(by_day / len(shares) + np.maximum(by_day / len(window.dates), chance))
    margin = stats.t.ppf(confidence, len(shares) - 1) * error
    return np.asarray((found - normal - margin) / np.maximum(1 - normal, 1e-9))


def _grown(reference: Days, window: Days, cells: slice) -> npt.NDArray[np.bool_]:
    """Cells that hold clearly more of the window than of the reference."""
    normal = reference.sums[:, cells].sum(axis=0) / reference.rows.sum()
    found = window.sums[:, cells].sum(axis=0) / window.rows.sum()
    return np.asarray(found - normal > np.sqrt(np.maximum(normal, 1e-9) / window.rows.sum()))


def _every_other(days: Days, start: int) -> Days:
    return Days(days.dates[start::2], days.rows[start::2], days.sums[start::2])
