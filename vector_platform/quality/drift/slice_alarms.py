"""Which tenants and sources moved, since when, and how much of each is new?

Belongs here: judging the slices of a stream together, and the bound of each that alarms.

A slice (tenant, source) has its own reference days and a yearly p-value of the same kind as the
whole; all slices together are held to a false discovery rate (Benjamini and Hochberg 1995). As for
the whole, an alarm acts when the part of the window that the reference does not explain is larger
than policy allows. Bounds that are looked at only because their slice alarmed claim too much too
often, the more so the more slices there are to choose from. So the 5 % that a bound may be wrong
by is shared: of R alarms among m slices each has 1 - 5 % R / m, and of the bounds shown at most
5 % are expected to be wrong (false coverage rate, Benjamini and Yekutieli 2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from vector_platform.quality.drift.calibration import MIN_REFERENCE_DAYS
from vector_platform.quality.drift.novel_share import CONFIDENCE, event_low, novel_share_low
from vector_platform.quality.drift.null_distribution import LEAST_P_VALUE
from vector_platform.quality.drift.policy import DriftPolicy
from vector_platform.quality.drift.window_test import Calendar, Looks
from vector_platform.quality.sketches.days import WEEK, Days
from vector_platform.quality.sketches.feature_map import MARKUP
from vector_platform.quality.sketches.references import EPOCH, Reference
from vector_platform.quality.sketches.series import Series

Slice = tuple[str, str]

# Below this many rows a day, means of a slice are too far from Gaussian for the yearly tail.
MIN_ROWS_A_DAY = 10


@dataclass(frozen=True, eq=False)
class SliceAlarm:
    """A slice that alarms, and how much of it is new.

    Attributes:
        tenant: Its tenant.
        source: Its source.
        novel_share_low: Lower bound of the share of its window that is new.
        markup_low: Lower bound of the share with more markup than its reference explains.
        confidence: Of each bound; above 95 % when few of many slices alarm.
        statistic: Its largest score on its newest day.
        threshold: Score from which it alarms beside the other slices.
        p_value: Chance that a year of it without change holds a score as large.
        window_days: Length of the window that stands out most.
        window_rows: Rows of that window.
        reference_rows: Rows of its reference.
        reference_days: Days of its reference.
        since: First day of the window.
        until: Last day of the window: the newest on which the slice had rows.
        acts: Whether the bound exceeds the policy.
        damaged: Whether the bound of texts with more markup does so, too.
        looks: Every score of it since the reference, for a time line.
    """

    tenant: str
    source: str
    novel_share_low: float
    markup_low: float
    confidence: float
    statistic: float
    threshold: float
    p_value: float
    window_days: int
    window_rows: int
    reference_rows: int
    reference_days: int
    since: date
    until: date
    acts: bool
    damaged: bool
    looks: Looks

    @property
    def name(self) -> Slice:
        """The slice."""
        return self.tenant, self.source

    def __str__(self) -> str:
        return f"tenant {self.tenant}, source {self.source}"

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata and JSON."""
        return {
            "novel_share_low": round(self.novel_share_low, 4),
            "markup_low": round(self.markup_low, 4),
            "confidence": round(self.confidence, 6),
            "statistic": round(self.statistic, 4),
            "threshold": round(self.threshold, 4),
            "p_value": max(self.p_value, LEAST_P_VALUE),
            "window_days": self.window_days,
            "window_rows": self.window_rows,
            "reference_days": self.reference_days,
            "reference_rows": self.reference_rows,
            "acts": self.acts,
            "damaged": self.damaged,
            "tenant": self.tenant,
            "source": self.source,
            "since": self.since.isoformat(),
        }


@dataclass(frozen=True, eq=False)
class _Judged:
    """A slice with data enough: its newest day beside its own reference."""

    name: Slice
    days: Days
    normal: Days
    calendar: Calendar
    looks: Looks
    p_value: float


def alarmed_slices(
    series: Series, reference: Reference, policy: DriftPolicy
) -> tuple[tuple[SliceAlarm, ...], int]:
    """Slices that alarm together, the most changed first, and how many were judged.

    A slice is judged when it had rows in the newest week, and reference days and rows enough; then
    there is enough for a bound, too. Of a stream that is one slice there is nothing to add to its
    own verdict.
    """
    if len(series.slices) < 2:
        return (), 0
    newest = int(series.total.dates[-1])
    found = [
        judged
        for name, days in series.slices.items()
        if (judged := _judged(name, days, reference, policy, newest)) is not None
    ]
    found.sort(key=lambda judged: (judged.p_value, judged.name))
    alarms = 0
    for rank, judged in enumerate(found, start=1):
        if judged.p_value <= policy.false_discovery_rate * rank / len(found):
            alarms = rank
    chosen = [_alarm(each, reference, policy, alarms / len(found)) for each in found[:alarms]]
    # Sorting keeps the clearest first among those with the same bound.
    return tuple(sorted(chosen, key=lambda alarm: -alarm.novel_share_low)), len(found)


def _judged(
    name: Slice, days: Days, reference: Reference, policy: DriftPolicy, newest: int
) -> _Judged | None:
    normal = days.between(*reference.days)
    enough = (
        len(normal.dates) >= MIN_REFERENCE_DAYS
        and normal.rows.sum() >= MIN_ROWS_A_DAY * len(normal.dates)
        and days.dates[-1] > max(newest - WEEK, reference.days[1])
    )
    if not enough:
        return None
    calendar = Calendar(normal, reference.map.blocks, min_rows=policy.min_rows)
    looks = calendar.looks(days.between(newest - 2 * max(calendar.windows), newest))
    if not len(looks.dates) or (looks.rows[-1] < policy.min_rows).all():
        return None
    p_value = calendar.null.p_value(float(looks.scores[-1].max()))
    return _Judged(name, days, normal, calendar, looks, p_value)


def _alarm(judged: _Judged, reference: Reference, policy: DriftPolicy, share: float) -> SliceAlarm:
    """The alarm of a slice.

    Args:
        judged: The slice.
        reference: Whose map says what the features are.
        policy: From where it acts.
        share: Of the judged slices, those that alarm.
    """
    looks, normal = judged.looks, judged.normal
    best = int(looks.scores[-1].argmax())
    last = int(looks.dates[-1])
    first = max(last - looks.windows[best], reference.days[1]) + 1
    window = judged.calendar.known(judged.days.between(first, last))
    columns = reference.map.columns
    confidence = 1 - (1 - CONFIDENCE) * share
    low = novel_share_low(
        normal,
        window,
        events=columns["events"],
        cells=columns["cells"],
        confidence=confidence,
    )
    markup = columns["events"].start + MARKUP
    markup_low = event_low(normal, window, event=markup, confidence=confidence)
    return SliceAlarm(
        *judged.name,
        novel_share_low=low,
        markup_low=markup_low,
        confidence=confidence,
        statistic=float(looks.scores[-1, best]),
        threshold=judged.calendar.null.threshold(policy.false_discovery_rate * share),
        p_value=judged.p_value,
        window_days=looks.windows[best],
        window_rows=int(window.rows.sum()),
        reference_rows=int(normal.rows.sum()),
        reference_days=len(normal.dates),
        since=EPOCH + timedelta(days=first),
        until=EPOCH + timedelta(days=last),
        acts=low > policy.least_novel_share,
        damaged=markup_low > policy.least_novel_share,
        looks=judged.calendar.looks(judged.days),
    )
