"""The verdict on a model version's stream: has its distribution moved, where, and by how much?

Belongs here: putting reference, sketches, calendar and bound together, for the whole stream and
for every tenant and source. Does not belong here: the parts, pictures and examples
(`explanation.py`), or what is done about it.

The stream as a whole comes first: it alarms when its newest windows reach a score that a year
without change reaches with a chance of `false_alarms_a_year`. A slice (tenant, source) has its
own reference days and the same kind of yearly p-value; all slices together are held to a false
discovery rate (Benjamini and Hochberg 1995). An alarm *acts* when the part of the window that the
reference does not explain is larger than policy allows: a small change, surely seen, is news, not
work. Too few days or rows is its own outcome, never an alarm.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np

from vector_platform.lake.lake import Lake
from vector_platform.quality.calendar import Calendar, Looks
from vector_platform.quality.calibration import MIN_REFERENCE_DAYS
from vector_platform.quality.days import WEEK, Days
from vector_platform.quality.feature_map import EVENTS
from vector_platform.quality.new_mass import event_low, new_mass_low
from vector_platform.quality.references import EPOCH, Reference, newest_reference
from vector_platform.quality.sketches import Series, read_series

Outcome = Literal["drifted", "stable", "not enough data"]
Slice = tuple[str, str]

# Below this many rows a day, means of a slice are too far from Gaussian for the yearly tail.
MIN_ROWS_A_DAY = 10
# A chance below this is shown as this: so far out, the tail is theory that no year has tested.
LEAST_P_VALUE = 1e-6
# What debris of an ingest does to a text, and a new topic does not.
MARKUP = EVENTS.index("tags above all but 1%")


@dataclass(frozen=True)
class DriftPolicy:
    """What an alarm is, and what is done about one.

    Attributes:
        false_alarms_a_year: Chance of any false alarm of the whole stream in a year.
        false_discovery_rate: Of the slices that alarm, the share that may be false.
        least_new_mass: Share of the window that must be new before an alarm acts.
        min_rows: Rows below which a window is not judged.
    """

    false_alarms_a_year: float = 0.01
    false_discovery_rate: float = 0.05
    least_new_mass: float = 0.05
    min_rows: int = 50


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
        new_mass_low: Lower bound of the share of the window that is new.
        markup_low: Lower bound of the share with more markup than the reference explains.
        window_days: Length of the window that stands out most.
        block: Features that stand out most.
        window_rows: Rows of that window.
        reference_rows: Rows of the reference.
        reference_days: Days of the reference.
        slices_judged: Slices with data enough.
        slices_alarmed: Slices that alarm, the clearest first.
        slices_since: First day of the window of each that stands out most.
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
    new_mass_low: float = 0.0
    markup_low: float = 0.0
    window_days: int = 0
    block: str = ""
    window_rows: int = 0
    reference_rows: int = 0
    reference_days: int = 0
    slices_judged: int = 0
    slices_alarmed: tuple[Slice, ...] = ()
    slices_since: tuple[date, ...] = ()
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
        return self.global_alarm and self.new_mass_low > self.policy.least_new_mass

    @property
    def damaged(self) -> bool:
        """Whether the alarm acts and is one of texts full of debris."""
        return self.acts and self.markup_low > self.policy.least_new_mass

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata and JSON."""
        return {
            "statistic": round(self.statistic, 4),
            "threshold": round(self.threshold, 4),
            "p_value": max(self.p_value, LEAST_P_VALUE),
            "budget": self.policy.false_alarms_a_year,
            "new_mass_low": round(self.new_mass_low, 4),
            "markup_low": round(self.markup_low, 4),
            "window_days": self.window_days,
            "window_rows": self.window_rows,
            "reference_days": self.reference_days,
            "reference_rows": self.reference_rows,
            "slices_judged": self.slices_judged,
            "global_alarm": self.global_alarm,
            "acts": self.acts,
            "damaged": self.damaged,
            "outcome": self.outcome,
            "reason": self.reason,
            "block": self.block,
            "day": self.day.isoformat() if self.day else "",
            "reference": self.reference.sequence if self.reference else 0,
            "evaluation_id": self.evaluation_id,
            "slices_alarmed": [
                {"tenant": tenant, "source": source, "since": since.isoformat()}
                for (tenant, source), since in zip(
                    self.slices_alarmed, self.slices_since, strict=True
                )
            ],
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
    window = total.between(max(newest - width, reference.days[1]) + 1, newest)
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
        new_mass_low=new_mass_low(normal, window, events=columns["events"], cells=columns["cells"]),
        markup_low=event_low(normal, window, event=columns["events"].start + MARKUP),
        window_days=width,
        window_rows=int(looks.rows[-1, best]),
        block=reference.map.blocks[int(looks.blocks[-1, best])].name,
        slices_judged=judged,
        slices_alarmed=tuple(name for name, _ in alarmed),
        slices_since=tuple(since for _, since in alarmed),
        **facts,
    )


def alarmed_slices(
    series: Series, reference: Reference, policy: DriftPolicy
) -> tuple[tuple[tuple[Slice, date], ...], int]:
    """Slices that alarm together, the clearest first, since when, and how many were judged.

    A slice is judged when it had rows in the newest week, and reference days and rows enough. Of
    a stream that is one slice there is nothing to add to its own verdict.
    """
    if len(series.slices) < 2:
        return (), 0
    newest = int(series.total.dates[-1])
    found: list[tuple[float, Slice, date]] = []
    for name, days in series.slices.items():
        judged = _judged_slice(days, reference, policy, newest)
        if judged is not None:
            found.append((judged[0], name, judged[1]))
    found.sort()
    accepted = 0
    for rank, (p_value, *_) in enumerate(found, start=1):
        if p_value <= policy.false_discovery_rate * rank / len(found):
            accepted = rank
    return tuple((name, since) for _, name, since in found[:accepted]), len(found)


def _judged_slice(
    days: Days, reference: Reference, policy: DriftPolicy, newest: int
) -> tuple[float, date] | None:
    """The yearly p-value of a slice, and the first day of its window that stands out most."""
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
    best = int(looks.scores[-1].argmax())
    first = max(int(looks.dates[-1]) - looks.windows[best], reference.days[1]) + 1
    p_value = calendar.null.p_value(float(looks.scores[-1, best]))
    return p_value, EPOCH + timedelta(days=first)


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
