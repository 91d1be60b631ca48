"""Accepting days as normal: the calibration slice, the map fitted on it, and the record of who.

Belongs here: the first reference of a stream, and the function that accepts another one.

The first reference is the first days of the stream, as many as the settings ask for, as soon as
the lake holds a day beyond them. It is written once; a later one is written when somebody accepts
what has changed. The calibration slice is the contents of the reference days with the smallest
hashes, at most a quarter of them: hashes of texts are as good as random. They teach the map and
are left out of every sketch from then on.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from vector_platform.errors import TerminalError
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import VersionsByDay
from vector_platform.quality.sketches.daily import every_vector_of, sync_sketches
from vector_platform.quality.sketches.fitting import MIN_CALIBRATION, fit
from vector_platform.quality.sketches.references import (
    EPOCH,
    Reference,
    newest_reference,
    write_reference,
)

Floats = npt.NDArray[np.float32]

MAX_CALIBRATION = 2000
CALIBRATION_SHARE = 0.25
# Four whole weeks: every weekday four times, and 21 degrees of freedom.
MIN_REFERENCE_DAYS = 28
# Who accepts the first days of a stream, when nobody has said anything.
PLATFORM = "platform"


class NotEnoughDays(TerminalError):
    """Days that are too few, or hold too little, to be a reference."""


def first_reference(
    lake: Lake, model_version: str, versions: VersionsByDay, *, days: int, run_id: str
) -> Reference | None:
    """The reference that holds; written now when there is none and enough days have passed.

    Args:
        lake: Where everything is.
        model_version: Whose.
        versions: Chunks and documents; every content of them has a vector.
        days: How many days a first reference has.
        run_id: Goes into the row.

    Returns:
        None while there are too few days, or they hold too little.
    """
    known = newest_reference(lake, model_version)
    if known is not None:
        return known
    held = lake.count_days(versions).column("day").to_pylist()
    if len(held) <= days:
        return None
    first, last = held[0], held[days - 1]
    try:
        return _accept(
            lake,
            model_version,
            versions,
            days=(first, last),
            actor=PLATFORM,
            reason=f"the first {days} days",
            evaluation_id=None,
            run_id=run_id,
        )
    except NotEnoughDays:
        return None


def recalibrate_reference(
    lake: Lake,
    model_version: str,
    *,
    first_day: date,
    last_day: date,
    actor: str,
    reason: str,
    evaluation_id: str | None,
    run_id: str,
) -> Reference:
    """Accept the days from `first_day` to `last_day` as the new normal.

    Fits a new map on a slice of them, so that what was strange is known from now on, and counts
    all sketches anew under it. Asking again for what holds already changes nothing.

    Args:
        lake: Where everything is.
        model_version: Whose reference.
        first_day: Of the new reference days.
        last_day: Of the new reference days, included.
        actor: Who accepts.
        reason: Why.
        evaluation_id: Drift evaluation that is being answered, where there is one.
        run_id: Goes into the row and the commit.

    Raises:
        NotEnoughDays: Fewer than `MIN_REFERENCE_DAYS` days with chunks, or too few contents.
        SnapshotIncomplete: A chunk has no vector yet.
    """
    versions = lake.versions_by_day()
    reference = newest_reference(lake, model_version)
    if reference is None or (reference.first_day, reference.last_day) != (first_day, last_day):
        reference = _accept(
            lake,
            model_version,
            versions,
            days=((first_day - EPOCH).days, (last_day - EPOCH).days),
            actor=actor,
            reason=reason,
            evaluation_id=evaluation_id,
            run_id=run_id,
        )
    sync_sketches(lake, reference, versions, run_id=run_id)
    return reference


def _accept(
    lake: Lake,
    model_version: str,
    versions: VersionsByDay,
    *,
    days: tuple[int, int],
    actor: str,
    reason: str,
    evaluation_id: str | None,
    run_id: str,
) -> Reference:
    held = [
        day for day in lake.count_days(versions).column("day").to_pylist() if _within(day, days)
    ]
    if len(held) < MIN_REFERENCE_DAYS:
        raise NotEnoughDays(
            f"{len(held)} day(s) from {_date(days[0])} to {_date(days[1])} have chunks; a "
            f"reference needs {MIN_REFERENCE_DAYS}"
        )
    hashes, vectors, texts = _slice(lake, model_version, versions, days)
    if len(hashes) < MIN_CALIBRATION:
        raise NotEnoughDays(
            f"a quarter of the contents from {_date(days[0])} to {_date(days[1])} is "
            f"{len(hashes)}; fitting a feature map needs {MIN_CALIBRATION}"
        )
    newest = newest_reference(lake, model_version)
    reference = Reference(
        model_version=model_version,
        sequence=newest.sequence + 1 if newest else 1,
        first_day=_date(days[0]),
        last_day=_date(days[1]),
        map=fit(vectors, texts),
        calibration=tuple(hashes),
        actor=actor,
        reason=reason,
        evaluation_id=evaluation_id,
    )
    write_reference(lake, reference, run_id=run_id)
    return reference


def _slice(
    lake: Lake, model_version: str, versions: VersionsByDay, days: tuple[int, int]
) -> tuple[list[str], Floats, list[str]]:
    """Hashes, vectors and texts of the calibration slice, in the order of the hashes."""
    kept: dict[str, tuple[Floats, str]] = {}
    seen = 0
    for batch in lake.contents_by_day(model_version, versions):
        columns = [batch.column(name).to_pylist() for name in ("content_hash", "day", "text")]
        vectors = every_vector_of(batch, model_version)
        for (content_hash, day, text), vector in zip(
            zip(*columns, strict=True), vectors, strict=True
        ):
            if _within(day, days) and content_hash not in kept:
                kept[content_hash] = (vector, text)
                seen += 1
        if len(kept) > 4 * MAX_CALIBRATION:
            kept = dict(sorted(kept.items())[:MAX_CALIBRATION])
    count = min(MAX_CALIBRATION, int(seen * CALIBRATION_SHARE))
    chosen = sorted(kept.items())[:count]
    return (
        [content_hash for content_hash, _ in chosen],
        np.array([vector for _, (vector, _) in chosen], np.float32),
        [text for _, (_, text) in chosen],
    )


def _within(day: int, days: tuple[int, int]) -> bool:
    return days[0] <= day <= days[1]


def _date(day: int) -> date:
    return EPOCH + timedelta(days=day)
