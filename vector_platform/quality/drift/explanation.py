"""What moved most: cells with examples, old texts beside new ones, slices, and pictures' points.

Belongs here: telling a person why a stream alarms. Counts come from the sketches; examples come
from a bounded sample of contents, the only vectors that are read, and only after an alarm.

An alarm of the whole stream is explained by the whole. Where the alarm is one of slices, the whole
does not show what changed: the slice that changed most is explained, from its own days and
contents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_platform.lake.lake import Lake
from vector_platform.quality.drift.slice_alarms import SliceAlarm
from vector_platform.quality.drift.verdict import DriftVerdict
from vector_platform.quality.sketches.daily import vectors_of
from vector_platform.quality.sketches.days import Days
from vector_platform.quality.sketches.feature_map import EVENTS
from vector_platform.quality.sketches.references import EPOCH, Reference

Floats = npt.NDArray[np.float32]

# Contents of each side that are read for examples and the projection.
SAMPLE = 600
CELLS_SHOWN = 5
EXAMPLES = 3
SHOWN_CHARACTERS = 160


@dataclass(frozen=True, eq=False)
class Explanation:
    """What moved.

    Attributes:
        slice: The slice that is explained; None for the whole stream.
        window_days: Length of the window.
        cells: Cells of the map that grew most, with shares, ids, a new and an old text.
        events: Measures that are beyond their usual range more often than before.
        slices: Share of every (tenant, source) in the reference and in the window.
        reference: Sampled vectors of the reference days.
        window: Sampled vectors of the window.
    """

    slice: SliceAlarm | None
    window_days: int
    cells: list[dict[str, Any]]
    events: list[dict[str, Any]]
    slices: list[dict[str, Any]]
    reference: Floats
    window: Floats

    @property
    def of(self) -> str:
        """What is explained, in words."""
        return "the whole stream" if self.slice is None else str(self.slice)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "of": self.of,
            "window_days": self.window_days,
            "cells": self.cells,
            "events": self.events,
            "slices": self.slices,
        }


def explain(lake: Lake, verdict: DriftVerdict) -> Explanation:
    """Explain a verdict that compared a window with a reference.

    Args:
        lake: Where the examples are.
        verdict: With a window, so not one of too little data.
    """
    reference, series, day = verdict.reference, verdict.series, verdict.day
    assert reference is not None and series is not None and day is not None
    slice_ = verdict.slice_meant
    days = series.total if slice_ is None else series.slices[slice_.name]
    window_days = verdict.window_days if slice_ is None else slice_.window_days
    newest = ((day if slice_ is None else slice_.until) - EPOCH).days
    first = max(newest - window_days, reference.days[1]) + 1
    spans = (reference.days, (first, newest))
    versions = lake.versions_by_day()
    old, new = (
        lake.sample_of_days(
            reference.model_version,
            versions,
            first=span[0],
            last=span[1],
            limit=SAMPLE,
            slice_=slice_.name if slice_ else None,
        )
        for span in spans
    )
    sides = [days.between(*span) for span in spans]
    whole = [max(float(series.total.between(*span).rows.sum()), 1.0) for span in spans]
    columns = reference.map.columns
    counted = [each.between(*span) for each in series.slices.values() for span in spans]
    return Explanation(
        slice=slice_,
        window_days=window_days,
        cells=_cells(reference, sides, old, new),
        events=_grown(list(EVENTS), *(_shares(side, columns["events"]) for side in sides)),
        slices=_grown(
            [f"{tenant} / {source}" for tenant, source in series.slices],
            *(
                np.array([each.rows.sum() for each in counted[side::2]]) / whole[side]
                for side in (0, 1)
            ),
        ),
        reference=vectors_of(old.column("vector").combine_chunks()),
        window=vectors_of(new.column("vector").combine_chunks()),
    )


def _cells(
    reference: Reference, sides: list[Days], old: pa.Table, new: pa.Table
) -> list[dict[str, Any]]:
    cells = reference.map.cells
    before, now = (_shares(days, reference.map.columns["cells"]) for days in sides)
    old_vectors, new_vectors = (
        vectors_of(side.column("vector").combine_chunks()) for side in (old, new)
    )
    nearest = (new_vectors @ cells.T).argmax(axis=1) if len(new) else np.empty(0, np.int64)
    found = []
    for cell in np.argsort(before - now, kind="stable")[:CELLS_SHOWN]:
        if now[cell] <= before[cell]:
            continue
        members = np.flatnonzero(nearest == cell)
        similar = (
            (new_vectors[members] @ old_vectors.T).max(axis=1)
            if len(old_vectors)
            else np.zeros(len(members))
        )
        # The strangest of the cell first: they are what the reference does not hold.
        members = members[np.argsort(similar, kind="stable")][:EXAMPLES]
        entry: dict[str, Any] = {
            "cell": int(cell),
            "share_before": round(float(before[cell]), 4),
            "share_now": round(float(now[cell]), 4),
            "examples": [new.column("chunk_id")[int(row)].as_py() for row in members],
        }
        if len(members) and len(old_vectors):
            twin = int((old_vectors @ new_vectors[members[0]]).argmax())
            entry["new_text"] = _short(new.column("text")[int(members[0])].as_py())
            entry["nearest_old_text"] = _short(old.column("text")[twin].as_py())
            entry["nearest_old_chunk"] = old.column("chunk_id")[twin].as_py()
        found.append(entry)
    return found


def _grown(
    names: list[str], before: npt.NDArray[np.float64], now: npt.NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Names whose share grew, most first."""
    return [
        {
            "name": names[at],
            "share_before": round(float(before[at]), 4),
            "share_now": round(float(now[at]), 4),
        }
        for at in np.argsort(before - now, kind="stable")[:CELLS_SHOWN]
        if now[at] > before[at]
    ]


def _shares(days: Days, columns: slice) -> npt.NDArray[np.float64]:
    return np.asarray(days.sums[:, columns].sum(axis=0) / max(days.rows.sum(), 1.0))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
