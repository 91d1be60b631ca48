"""The data contract: every table of the lake, its columns, keys, and what a row must satisfy.

Belongs here: names, schemas and keys of tables, a file for each stage of the data's way; the rules
of single values are in `rules.py`, `values.py` and `identities.py`, and importable from here. Does
not belong here: reading or writing (`tables.py`, `lake.py`). Delta enforces neither uniqueness, nor
vector dimension, nor norm; `audit.py` checks them.
"""

from vector_platform.lake.contract.corpus import (
    CHUNKS,
    DOCUMENTS,
    GOLDEN_PROPOSALS,
    GOLDEN_QUERIES,
    QUARANTINED_SLICES,
    RELATIONS,
)
from vector_platform.lake.contract.landed import LANDINGS, RAW_REJECTS, raw_spec
from vector_platform.lake.contract.measured import (
    DRIFT_REFERENCES,
    DRIFT_SKETCHES,
    EVALUATIONS,
    FEATURE_MAP,
)
from vector_platform.lake.contract.served import (
    DECISIONS,
    INDEX_STATE,
    REJECTED_ROWS,
    RELEASE_REQUESTS,
    RELEASES,
)
from vector_platform.lake.contract.spec import TIMESTAMP, TableSpec
from vector_platform.lake.contract.vectors import (
    CANARIES,
    EMBEDDINGS,
    MODEL_VERSIONS,
    QUARANTINED_VECTORS,
)
from vector_platform.lake.identities import (
    MAX_ID_BYTES,
    MAX_TENANT_BYTES,
    identity_of,
    identity_problem,
)
from vector_platform.lake.rules import (
    MAX_ATTRIBUTES_BYTES,
    MAX_EXACT_INT,
    MAX_PASSAGE_BYTES,
    UNIT_NORM_TOLERANCE,
    attribute_problem,
    attributes_problems,
    canonical_json,
    content_of,
    digest_of,
    doc_id_of,
    hash_text,
)
from vector_platform.lake.values import (
    YEARS,
    as_utc,
    clean_line,
    clean_text,
    is_blank,
    line_of,
    moment_of,
    text_of,
    truth_of,
)

__all__ = [
    "CANARIES",
    "CHUNKS",
    "DECISIONS",
    "DOCUMENTS",
    "DRIFT_REFERENCES",
    "DRIFT_SKETCHES",
    "EMBEDDINGS",
    "EVALUATIONS",
    "FEATURE_MAP",
    "GOLDEN_PROPOSALS",
    "GOLDEN_QUERIES",
    "INDEX_STATE",
    "LANDINGS",
    "MAX_ATTRIBUTES_BYTES",
    "MAX_EXACT_INT",
    "MAX_ID_BYTES",
    "MAX_PASSAGE_BYTES",
    "MAX_TENANT_BYTES",
    "MODEL_VERSIONS",
    "QUARANTINED_SLICES",
    "QUARANTINED_VECTORS",
    "RAW_REJECTS",
    "REJECTED_ROWS",
    "RELATIONS",
    "RELEASES",
    "RELEASE_REQUESTS",
    "TIMESTAMP",
    "UNIT_NORM_TOLERANCE",
    "YEARS",
    "TableSpec",
    "as_utc",
    "attribute_problem",
    "attributes_problems",
    "canonical_json",
    "clean_line",
    "clean_text",
    "content_of",
    "digest_of",
    "doc_id_of",
    "hash_text",
    "identity_of",
    "identity_problem",
    "is_blank",
    "line_of",
    "moment_of",
    "raw_spec",
    "text_of",
    "truth_of",
]
