"""Quarantine: vectors that must not be used leave `embeddings` for `quarantined_vectors`.

Belongs here: the move of whole runs of a model version, and finishing one that was cut off.

The order of the commits makes a kill harmless: copy, remove, then note the version without them.
A copy without a noted version says that the move is not finished, and moving again finishes it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import pyarrow as pa

from vector_platform.lake.contract import QUARANTINED_VECTORS
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.tables import run_metadata

# Vectors copied in one commit: 64 MiB of 1,024 dimensions.
COPY_ROWS = 16_384


def quarantine_runs(
    lake: Lake, model_version: str, run_ids: Collection[str], *, run_id: str, now: datetime
) -> int:
    """Move every vector that some runs wrote under a model version. May be repeated.

    Snapshots from then on lack these contents, so no index can be built from one before they
    are embedded again.

    Args:
        lake: Where the vectors are.
        model_version: Whose vectors.
        run_ids: Runs that wrote them.
        run_id: Run that moves them, for the commits.
        now: Time of the move.

    Returns:
        Number of vectors moved.
    """
    metadata = run_metadata(run_id, f"quarantine {model_version}")
    mine: Condition = ("model_version", "==", model_version)
    moved = 0
    if run_ids:
        theirs: list[Condition] = [mine, ("run_id", "in", sorted(run_ids))]
        for batch in lake.embeddings.batches(where=theirs, batch_rows=COPY_ROWS):
            lake.quarantined_vectors.merge(_copies(batch, now), metadata=metadata)
            moved += batch.num_rows
        if moved:
            lake.embeddings.remove(theirs, metadata)
    noted = lake.quarantined_vectors.read(["removed_version"], where=[mine])
    if noted.column("removed_version").null_count:
        unfinished: list[Condition] = [mine, ("removed_version", "==", None)]
        version = lake.embeddings.version()
        lake.quarantined_vectors.amend("removed_version", version, unfinished, metadata)
    return moved


def _copies(batch: pa.RecordBatch, now: datetime) -> pa.Table:
    rows = pa.Table.from_batches([batch])
    for name, value in (("quarantined_at", now), ("removed_version", None)):
        field = QUARANTINED_VECTORS.schema.field(name)
        rows = rows.append_column(field, pa.array([value] * rows.num_rows, field.type))
    return rows
