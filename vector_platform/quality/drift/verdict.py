"""The verdict on a model version's stream: has its distribution moved, where, and by how much?

Belongs here: putting reference, sketches, calendar and bound together for the whole stream, and
the verdict on it and its slices.

The stream as a whole comes first: it alarms when its newest windows reach a score that a year
without change reaches with a chance of `false_alarms_a_year`. An alarm *acts* when the part of
the window that the reference does not explain is larger than policy allows, of the whole or of a
slice: a small change, surely seen, is news, not work. Too few days or rows is its own outcome,
never an alarm.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np

from vector_platform.lake.lake import Lake
from vector_platform.quality.drift.calibration import MIN_REFERENCE_DAYS
from vector_platform.quality.drift.novel_share import event_low, novel_share_low
from vector_platform.quality.drift.null_distribution import LEAST_P_VALUE
from vector_platform.quality.drift.policy import DriftPolicy
from vector_platform.quality.drift.slice_alarms import SliceAlarm, alarmed_slices
from vector_platform.quality.drift.window_test import Calendar, Looks
from vector_platform.quality.sketches.days import WEEK
from vector_platform.quality.sketches.feature_map import MARKUP
from vector_platform.quality.sketches.references import EPOCH, Reference, newest_reference
from vector_platform.quality.sketches.series import Series, read_series

Outcome = Literal["drifted", "stable", "not enough data"]


@dataclass(frozen=True, eq=False)
class DriftVerdict:
    """What was found.

    Attributes:
        outcome: `drifted` when the stream or a slice alarms.
        reason: Why there is not enough data; empty otherwise.
        evaluation_id: Hash of everything the verdict depends on: same data, same id.
        global_alarm: Whether the stream as a whole alarms.
        statistic: Largest score of the newest windows, -log10 of a chance; 0 when not judged.
        threshold: Score from which it alarms.
        p_value: Chance that a year without change holds a score as large.
        novel_share_low: Lower bound of the share of the window that is new.
        markup_low: Lower bound of the share with more markup than the reference explains.
        window_days: Length of the window that stands out most.
        block: Features that stand out most.
        window_rows: Rows of that window.
        reference_rows: Rows of the reference.
        reference_days: Days of the reference.
        slices_judged: Slices with data enough.
        slices_alarmed: Slices that alarm, the most changed first.
        day: The newest day.
        policy: What it was judged by.
        reference: What it was judged against; None before there is one.
        looks: Every score since the reference, for a time line.
    """

    outcome: Outcome
    evaluation_id: str
    policy: DriftPolicy
    reason: str = ""
    global_alarm: bool = False
    statistic: float = 0.0
    threshold: float = 0.0
    p_value: float = 1.0
    novel_share_low: float = 0.0
    markup_low: float = 0.0
    window_days: int = 0
    block: str = ""
    window_rows: int = 0
    reference_rows: int = 0
    reference_days: int = 0
    slices_judged: int = 0
    slices_alarmed: tuple[SliceAlarm, ...] = ()
    day: date | None = None
    reference: Reference | None = None
    series: Series | None = None
    looks: Looks | None = None

    @property
    def drifted(self) -> bool:
        """Whether anything alarms."""
        return self.outcome == "drifted"

    @property
    def acts(self) -> bool:
        """Whether the alarm is one of the whole stream and large enough to act on."""
        return self.global_alarm and self.novel_share_low > self.policy.least_novel_share

    @property
    def damaged(self) -> bool:
        """Whether the alarm acts and is one of texts full of debris."""
        return self.acts and self.markup_low > self.policy.least_novel_share

    @property
    def moved_since(self) -> date | None:
        """The first day of the alarm that still lasts; None when the stream as a whole is quiet.

        An alarm that pauses for less than a week is one alarm: scores near the threshold cross it
        back and forth, and quiet weekends end nothing.
        """
        looks = self.looks
        if looks is None or not self.global_alarm:
            return None
        alarmed = looks.dates[looks.scores.max(axis=1) >= self.threshold]
        pauses = np.flatnonzero(np.diff(alarmed) > WEEK)
        return EPOCH + timedelta(days=int(alarmed[pauses[-1] + 1 if len(pauses) else 0]))

    @property
    def days_missing(self) -> int:
        """Days that have to come before those since the move are enough for a reference."""
        if self.moved_since is None or self.series is None:
            return 0
        dates = self.series.total.dates
        since = int((dates >= (self.moved_since - EPOCH).days).sum())
        return max(0, MIN_REFERENCE_DAYS - since)

    @property
    def slice_meant(self) -> SliceAlarm | None:
        """The slice that changed most, where the alarm is one of slices and not of the whole."""
        if self.acts or not self.slices_alarmed:
            return None
        worst = self.slices_alarmed[0]
        return worst if worst.acts or not self.global_alarm else None

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata and JSON."""
        return {
            "statistic": round(self.statistic, 4),
            "threshold": round(self.threshold, 4),
            "p_value": max(self.p_value, LEAST_P_VALUE),
            "budget": self.policy.false_alarms_a_year,
            "novel_share_low": round(self.novel_share_low, 4),
            "markup_low": round(self.markup_low, 4),
            "window_days": self.window_days,
            "window_rows": self.window_rows,
            "reference_days": self.reference_days,
            "reference_rows": self.reference_rows,
            "days_missing": self.days_missing,
            "slices_judged": self.slices_judged,
            "slices_acting": sum(one.acts for one in self.slices_alarmed),
            "slice_novel_share_low": max(
                (round(one.novel_share_low, 4) for one in self.slices_alarmed), default=0.0
            ),
            "global_alarm": self.global_alarm,
            "acts": self.acts,
            "damaged": self.damaged,
            "outcome": self.outcome,
            "reason": self.reason,
            "block": self.block,
            "day": self.day.isoformat() if self.day else "",
            "moved_since": self.moved_since.isoformat() if self.moved_since else "",
            "reference": self.reference.sequence if self.reference else 0,
            "evaluation_id": self.evaluation_id,
            "slices_alarmed": [one.facts() for one in self.slices_alarmed],
        }


def judge_drift(lake: Lake, model_version: str, policy: DriftPolicy) -> DriftVerdict:
    """Judge the newest windows of a model version. Reads sketches, no vectors."""
    reference = newest_reference(lake, model_version)
    if reference is None:
        return DriftVerdict(
            "not enough data",
            _evaluation_id(model_version, policy, None, None),
            policy,
            reason="the lake does not hold the days of a first reference yet",
        )
    series = read_series(lake, model_version, reference.map.version)
    return judge_series(series, reference, policy)


def judge_series(series: Series, reference: Reference, policy: DriftPolicy) -> DriftVerdict:
    """Judge the newest windows of series that have been read."""
    evaluation_id = _evaluation_id(reference.model_version, policy, reference, series)
    total = series.total
    normal = total.between(*reference.days)
    facts: dict[str, Any] = {
        "reference": reference,
        "series": series,
        "reference_rows": int(normal.rows.sum()),
        "reference_days": len(normal.dates),
    }
    reason = ""
    if len(normal.dates) < MIN_REFERENCE_DAYS:
        reason = f"{len(normal.dates)} reference days have rows; judging needs {MIN_REFERENCE_DAYS}"
    elif total.dates[-1] <= reference.days[1]:
        reason = "no day has come since the reference"
    if reason:
        return DriftVerdict("not enough data", evaluation_id, policy, reason=reason, **facts)
    calendar = Calendar(normal, reference.map.blocks, min_rows=policy.min_rows)
    looks = calendar.looks(total)
    newest = int(total.dates[-1])
    facts |= {"looks": looks, "day": EPOCH + timedelta(days=newest)}
    facts["threshold"] = calendar.null.threshold(policy.false_alarms_a_year)
    if (
        not len(looks.dates)
        or looks.dates[-1] != newest
        or (looks.rows[-1] < policy.min_rows).all()
    ):
        reason = (
            f"no window that ends on the newest day has {policy.min_rows} rows on weekdays that "
            "the reference knows"
        )
        return DriftVerdict("not enough data", evaluation_id, policy, reason=reason, **facts)
    best = int(looks.scores[-1].argmax())
    score, width = float(looks.scores[-1, best]), looks.windows[best]
    window = calendar.known(total.between(newest - width + 1, newest))
    columns = reference.map.columns
    alarmed, judged = alarmed_slices(series, reference, policy)
    global_alarm = score >= facts["threshold"]
    return DriftVerdict(
        "drifted" if global_alarm or alarmed else "stable",
        evaluation_id,
        policy,
        global_alarm=global_alarm,
        statistic=score,
        p_value=calendar.null.p_value(score),
        novel_share_low=novel_share_low(
            normal, window, events=columns["events"], cells=columns["cells"]
        ),
        markup_low=event_low(normal, window, event=columns["events"].start + MARKUP),
        window_days=width,
        window_rows=int(looks.rows[-1, best]),
        block=reference.map.blocks[int(looks.blocks[-1, best])].name,
        slices_judged=judged,
        slices_alarmed=alarmed,
        **facts,
    )


def _evaluation_id(
    model_version: str, policy: DriftPolicy, reference: Reference | None, series: Series | None
) -> str:
    digest = hashlib.sha256(repr((model_version, asdict(policy))).encode())
    if reference is not None:
        digest.update(repr((reference.map.version, reference.sequence, reference.days)).encode())
    if series is not None:
        for name, days in series.slices.items():
            digest.update(repr(name).encode())
            for values in (days.dates, days.rows, days.sums):
                digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:32]
