"""Tables of measurements: evaluations, and the sketches and references of drift.

Belongs here: what was measured.
"""

from __future__ import annotations

import pyarrow as pa

from vector_platform.lake.contract.spec import TIMESTAMP, TableSpec, required

EVALUATIONS = TableSpec(
    name="evaluations",
    schema=pa.schema(
        [
            required("evaluation_id", pa.string()),
            required("kind", pa.string()),
            required("subject", pa.string()),
            required("model_version", pa.string()),
            required("metric", pa.string()),
            required("value", pa.float64()),
            required("sample_size", pa.int64()),
            pa.field("chunks_version", pa.int64()),
            required("details", pa.string()),
            required("run_id", pa.string()),
            required("evaluated_at", TIMESTAMP),
        ]
    ),
    keys=("evaluation_id", "metric"),
    description="Append-only measurements: retrieval quality per model, drift statistics.",
)

# Arrays of the feature map of `quality/sketches/feature_map.py`, row by row; `centre` gives the
# dimension.
FEATURE_MAP = (
    "centre",
    "components",
    "directions",
    "phases",
    "wave_centre",
    "wave_slope",
    "wave_axes",
    "anchors",
    "topics",
    "cells",
    "trigrams",
    "ranks",
)

DRIFT_REFERENCES = TableSpec(
    name="drift_references",
    schema=pa.schema(
        [
            required("model_version", pa.string()),
            required("sequence", pa.int64()),
            required("map_version", pa.string()),
            required("first_day", pa.date32()),
            required("last_day", pa.date32()),
            *(required(name, pa.list_(pa.float32())) for name in FEATURE_MAP),
            required("calibration", pa.list_(pa.string())),
            required("actor", pa.string()),
            required("reason", pa.string()),
            pa.field("evaluation_id", pa.string()),
            required("run_id", pa.string()),
            required("accepted_at", TIMESTAMP),
        ]
    ),
    keys=("model_version", "sequence"),
    description="Days that count as normal, the feature map fitted on a slice of them, who "
    "accepted them and why; the highest sequence of a model version holds.",
)

DRIFT_SKETCHES = TableSpec(
    name="drift_sketches",
    schema=pa.schema(
        [
            required("model_version", pa.string()),
            required("day", pa.date32()),
            required("tenant", pa.string()),
            required("source", pa.string()),
            required("map_version", pa.string()),
            required("rows", pa.int64()),
            required("sums", pa.list_(pa.float64())),
        ]
    ),
    keys=("model_version", "day", "tenant", "source"),
    partition_by=("model_version",),
    description="Sums of the features of a day's chunks: they merge and subtract, so drift is "
    "judged without reading vectors.",
)
