"""What columns hold, in a sentence each, for whoever opens a table.

Belongs here: the meaning of a name, which is the same in every table; where one table's differs, it
stands under the table's name. Types, keys and what may be null are in the tables' contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vector_platform.lake.contract.spec import TableSpec

_MEANINGS: Final[Mapping[str, str]] = {
    # Where it comes from.
    "source": "The source of platform.yaml that it comes from.",
    "key": "Identity of the row within its source.",
    "ingest_date": "The day that was landed: the partition.",
    "operation": "`upsert`, or `delete` for a row that is gone at the source.",
    "payload": "The row as the source gave it: JSON with sorted keys; `{}` of a deleted one.",
    "row_hash": "Hash of the payload of the raw row.",
    "event_time": "When it happened, of a source with a time column.",
    "uri": "Where the source has it.",
    "run_id": "The Dagster run that wrote the row.",
    "ingested_at": "When the raw row landed, in UTC.",
    # Documents and chunks.
    "doc_id": "The document: `{source}:{key}`, the key percent-encoded to ASCII.",
    "tenant": "Whose it is, exactly as the source gives it.",
    "region": "Where it belongs, exactly as the source gives it.",
    "title": "Title of the document; may be empty.",
    "body": "The whole text, trimmed, in NFC.",
    "attributes": "Filterable values: a JSON object with sorted keys.",
    "updated_at": "Event time of the document, where its source has one.",
    "duplicate_of": "The document that stays, where one tenant has the same title and body twice.",
    "chunk_id": "The passage: `{doc_id}#{ordinal}`.",
    "ordinal": "Which passage of its document, from 0.",
    "text": "The passage that is embedded and shown.",
    "content_hash": "Hash of title and text: the content that a model sees.",
    "chunker": "Version of everything that decides where texts are cut.",
    "subject": "The document that names.",
    "predicate": "How it names, from the mapping of its source.",
    "object": "The document that is named, or a name.",
    "weight": "Strength of the edge.",
    # Vectors and measurements.
    "model_version": "The model version, which is bound to its fingerprint for good.",
    "vector": "The vector: float32, of unit norm, of the model version's dimension.",
    "fingerprint": "Fingerprint of the model that made it.",
    "embedded_at": "When the vector was made, in UTC.",
    "set_name": "The set of golden queries of platform.yaml.",
    "query_id": "Identity of the query within its set.",
    "gain": "How well the document answers the query; 0 is not at all.",
    "provenance": "Who judged it, or what it was made from.",
    "evaluation_id": "Identity of the measurement.",
    "kind": "What was measured, such as retrieval or index_recall.",
    "metric": "The name of the number.",
    "value": "The number.",
    "sample_size": "How many queries, rows or texts it rests on.",
    "chunks_version": "Version of the chunks that it was measured on.",
    "details": "Further facts, as JSON.",
    "evaluated_at": "When it was measured, in UTC.",
    # Where a name means something of its own.
    "golden_queries.text": "The query.",
    "golden_queries.doc_id": "A document that answers it.",
    "golden_queries.tenant": "Whose documents are searched; null for everybody's.",
    "evaluations.subject": "What was measured, such as an index and its generation.",
}


def meaning(spec: TableSpec, column: str) -> str | None:
    """What a column of a table holds; None where nobody has said it."""
    return _MEANINGS.get(f"{spec.name}.{column}", _MEANINGS.get(column))
