"""Tables of model versions and the vectors that contents have under them.

Belongs here: vectors, and what binds them to a model.
"""

from __future__ import annotations

import pyarrow as pa

from vector_platform.lake.contract.spec import TIMESTAMP, TableSpec, required

MODEL_VERSIONS = TableSpec(
    name="model_versions",
    schema=pa.schema(
        [
            required("model_version", pa.string()),
            required("fingerprint", pa.string()),
            required("dimension", pa.int32()),
            required("details", pa.string()),
            required("registered_at", TIMESTAMP),
            required("run_id", pa.string()),
        ]
    ),
    keys=("model_version",),
    description="The immutable binding of a model version's name to its fingerprint.",
)

CANARIES = TableSpec(
    name="canaries",
    schema=pa.schema(
        [
            required("model_version", pa.string()),
            required("runtime", pa.string()),
            required("ordinal", pa.int32()),
            required("text", pa.string()),
            required("vector", pa.list_(pa.float32())),
            required("tolerance", pa.float64()),
            required("run_id", pa.string()),
            required("registered_at", TIMESTAMP),
        ]
    ),
    keys=("model_version", "runtime", "ordinal"),
    description="Texts with the vectors that a model version gave them when it was registered.",
)

EMBEDDINGS = TableSpec(
    name="embeddings",
    schema=pa.schema(
        [
            required("model_version", pa.string()),
            required("content_hash", pa.string()),
            required("vector", pa.list_(pa.float32())),
            required("fingerprint", pa.string()),
            required("run_id", pa.string()),
            required("embedded_at", TIMESTAMP),
        ]
    ),
    keys=("model_version", "content_hash"),
    partition_by=("model_version",),
    description="Vectors of contents under a model version. A vector is a fact: it is added once, "
    "and leaves only for quarantined_vectors.",
)

QUARANTINED_VECTORS = TableSpec(
    name="quarantined_vectors",
    schema=pa.schema(
        [
            *EMBEDDINGS.schema,
            required("quarantined_at", TIMESTAMP),
            pa.field("removed_version", pa.int64()),
        ]
    ),
    keys=("model_version", "content_hash", "run_id"),
    partition_by=("model_version",),
    description="Vectors that a model wrote while it did not answer as registered.",
)
