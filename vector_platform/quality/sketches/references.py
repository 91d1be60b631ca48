"""Reference days: what counts as normal for a model version, who said so, and the map fitted on it.

Belongs here: the value, and the table `drift_references`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from vector_platform.lake.contract import DRIFT_REFERENCES, FEATURE_MAP
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.conditions import Condition
from vector_platform.quality.sketches.feature_map import MEASURES, FeatureMap

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, eq=False)
class Reference:
    """What counts as normal.

    Attributes:
        model_version: Whose.
        sequence: 1 for the first; the highest holds.
        first_day: Of the reference days.
        last_day: Of the reference days, included.
        map: Fitted on the calibration slice.
        calibration: Content hashes of the slice.
        actor: Who accepted it.
        reason: Why.
        evaluation_id: Drift evaluation that was answered; None for none.
    """

    model_version: str
    sequence: int
    first_day: date
    last_day: date
    map: FeatureMap
    calibration: tuple[str, ...]
    actor: str
    reason: str
    evaluation_id: str | None = None

    @property
    def days(self) -> tuple[int, int]:
        """First and last day, counted from 1970-01-01."""
        return (self.first_day - EPOCH).days, (self.last_day - EPOCH).days


def newest_reference(
    lake: Lake, model_version: str, *, before: int | None = None
) -> Reference | None:
    """The reference that holds, or None before the first one.

    Args:
        lake: Where references are.
        model_version: Whose.
        before: The one that held before the reference of this sequence.
    """
    where: list[Condition] = [("model_version", "==", model_version)]
    if before is not None:
        where.append(("sequence", "<=", before - 1))
    rows = lake.drift_references.read(where=where)
    if rows.num_rows == 0:
        return None
    row = rows.sort_by([("sequence", "descending")]).slice(0, 1).to_pylist()[0]
    return Reference(
        model_version=model_version,
        sequence=row["sequence"],
        first_day=row["first_day"],
        last_day=row["last_day"],
        map=_map_of({name: np.array(row[name], np.float32) for name in FEATURE_MAP}),
        calibration=tuple(row["calibration"]),
        actor=row["actor"],
        reason=row["reason"],
        evaluation_id=row["evaluation_id"],
    )


def write_reference(lake: Lake, reference: Reference, *, run_id: str) -> None:
    """Record a reference; from now on it holds."""
    row = {
        "model_version": reference.model_version,
        "sequence": reference.sequence,
        "map_version": reference.map.version,
        "first_day": reference.first_day,
        "last_day": reference.last_day,
        **{name: getattr(reference.map, name).ravel() for name in FEATURE_MAP},
        "calibration": list(reference.calibration),
        "actor": reference.actor,
        "reason": reference.reason,
        "evaluation_id": reference.evaluation_id,
        "run_id": run_id,
        "accepted_at": datetime.now(UTC),
    }
    # A merge, not an append: of two first references at once, one conflicts.
    lake.drift_references.merge(
        pa.Table.from_pylist([row], schema=DRIFT_REFERENCES.schema),
        metadata={"run_id": run_id, "what": reference.reason},
    )


def _map_of(flat: dict[str, np.ndarray]) -> FeatureMap:
    """A map from its plain columns: all shapes follow from four lengths."""
    dimension, directions = len(flat["centre"]), len(flat["phases"])
    components = len(flat["components"]) // dimension
    waves = len(flat["wave_axes"]) // directions
    shapes = {
        "components": (dimension, components),
        "directions": (components, directions),
        "wave_slope": (components, directions),
        "wave_axes": (directions, waves),
        "anchors": (-1, dimension),
        "topics": (-1, dimension),
        "cells": (-1, dimension),
        "ranks": (MEASURES, -1),
    }
    return FeatureMap(**{name: each.reshape(shapes.get(name, -1)) for name, each in flat.items()})
