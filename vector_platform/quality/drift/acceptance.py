"""Which days can become the new normal: days since the stream moved, and none from before.

Belongs here: the days that are accepted when nobody names any.

A reference of days from before and after a move is the normal of neither: its days differ by more
than either kind does, so what comes next has to be stranger to be seen. The move is dated by the
first day that alarmed. A small or slow one is seen days after it began, and those days are left
out: they are not surely of it.
"""

from __future__ import annotations

from datetime import date, timedelta

from vector_platform.errors import TerminalError
from vector_platform.lake.lake import Lake
from vector_platform.quality.drift.calibration import MIN_REFERENCE_DAYS, NotEnoughDays
from vector_platform.quality.drift.verdict import DriftVerdict
from vector_platform.quality.sketches.references import EPOCH

NAME_THE_DAYS = "To accept other days, name them: --from DAY --to DAY"


class NothingMoved(TerminalError):
    """A stream that does not alarm as a whole: there is nothing new to accept."""


def days_to_accept(
    lake: Lake, model_version: str, verdict: DriftVerdict, *, limit: int
) -> tuple[date, date]:
    """First and last of the days to accept: the newest since the move, or of all without one.

    Before there is a reference all days are as good. With nothing come since the reference, the
    days are those of the reference.

    Args:
        lake: Where the days are.
        model_version: Whose stream.
        verdict: On the newest days.
        limit: The most days that a reference has.

    Raises:
        NothingMoved: The stream as a whole does not alarm.
        NotEnoughDays: Fewer than `MIN_REFERENCE_DAYS` days have chunks since the move.
    """
    reference, series = verdict.reference, verdict.series
    held = lake.count_days(lake.versions_by_day()).column("day").to_pylist()
    if reference is None or series is None:
        return _span(held, limit, f"{len(held)} day(s) have chunks")
    if held and held[-1] <= reference.days[1]:
        return reference.first_day, reference.last_day
    moved = verdict.moved_since
    if moved is None:
        why = verdict.reason or "the stream as a whole is what its reference leads one to expect"
        raise NothingMoved(f"nothing to accept for {model_version}: {why}. {NAME_THE_DAYS}")
    since = [day for day in held if day >= (moved - EPOCH).days]
    why = f"{model_version} moved on {moved}, and {len(since)} day(s) have chunks since then"
    return _span(since, limit, why)


def _span(days: list[int], limit: int, found: str) -> tuple[date, date]:
    if len(days) < MIN_REFERENCE_DAYS:
        raise NotEnoughDays(
            f"{found}; a reference needs {MIN_REFERENCE_DAYS}. Until then nothing is accepted: "
            f"days from before a move are not mixed in. {NAME_THE_DAYS}"
        )
    first, last = days[-limit:][0], days[-1]
    return EPOCH + timedelta(days=first), EPOCH + timedelta(days=last)
