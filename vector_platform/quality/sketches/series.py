"""The table `drift_sketches` as series of days.

Belongs here: reading sketches; `daily.py` writes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_platform.lake.lake import Lake
from vector_platform.quality.sketches.days import Days

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """The sketches of a model version, read once.

    Attributes:
        total: All tenants and sources together.
        slices: (tenant, source) -> its days.
    """

    total: Days
    slices: dict[tuple[str, str], Days]


def read_series(lake: Lake, model_version: str, map_version: str) -> Series:
    """Every sketch of a model version under a map, as series of days. Reads no vector.

    Sketches of another map say nothing: a new reference whose sync was killed has none yet.
    """
    table = lake.drift_sketches.read(
        ["day", "tenant", "source", "rows", "sums"],
        where=[("model_version", "==", model_version), ("map_version", "==", map_version)],
    )
    return series_of(table)


def series_of(table: pa.Table) -> Series:
    """Series of days from rows of `drift_sketches`."""
    order = [("tenant", "ascending"), ("source", "ascending"), ("day", "ascending")]
    table = table.sort_by(order).combine_chunks()
    dates = table.column("day").cast(pa.int32()).to_numpy().astype(np.int64)
    rows = table.column("rows").to_numpy().astype(np.float64)
    sums = np.asarray(table.column("sums").combine_chunks().flatten().to_numpy(), np.float64)
    sums = sums.reshape(len(rows), -1) if len(rows) else np.zeros((0, 0))
    names = list(
        zip(table.column("tenant").to_pylist(), table.column("source").to_pylist(), strict=True)
    )
    starts = [at for at, name in enumerate(names) if at == 0 or name != names[at - 1]]
    slices = {
        names[start]: Days(dates[start:end], rows[start:end], sums[start:end])
        for start, end in pairwise([*starts, len(names)])
    }
    return Series(_merged(dates, rows, sums), slices)


def _merged(dates: npt.NDArray[np.int64], rows: Floats, sums: Floats) -> Days:
    """Several sketches a day, as one."""
    days, place = np.unique(dates, return_inverse=True)
    total_rows, total_sums = np.zeros(len(days)), np.zeros((len(days), sums.shape[1]))
    np.add.at(total_rows, place, rows)
    np.add.at(total_sums, place, sums)
    return Days(days, total_rows, total_sums)
