"""What a row must satisfy to land, under the mapping of `platform.yaml`.

Belongs here: pure checks of one row.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from vector_platform.lake.contract import (
    MAX_ID_BYTES,
    MAX_PASSAGE_BYTES,
    MAX_TENANT_BYTES,
    YEARS,
    attributes_problems,
    canonical_json,
    clean_line,
    clean_text,
    doc_id_of,
    hash_text,
    identity_of,
    identity_problem,
    moment_of,
    truth_of,
)
from vector_platform.lake.given import NotAVector, VectorColumn, given_vector
from vector_platform.settings import Constant, FieldMapping, ReadLimits
from vector_platform.sources.base import SourceRow
from vector_platform.sources.landing.payload import NotJson, jsonable
from vector_platform.sources.limits import too_long

# A chunk's id is the document's id with `#{ordinal}` after it, and has the same limit.
MAX_DOC_ID_BYTES = MAX_ID_BYTES - len("#9999999")


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row that may land, or the reasons why it may not.

    Attributes:
        key: The row's key; None when it has none.
        payload: Canonical JSON of the row's columns; None when they have no JSON form.
        row_hash: Hash of the payload.
        operation: `upsert`, or `delete` when the row says it is gone.
        event_time: When the row happened, UTC; None without `fields.time`.
        arrival: When the row arrived: the cursor column, else the event time.
        problems: `kind: detail`, every one of them.
    """

    key: str | None
    payload: str | None
    row_hash: str
    operation: str
    event_time: datetime | None
    arrival: datetime | None
    problems: tuple[str, ...]


def check_row(
    row: SourceRow,
    *,
    source: str,
    fields: FieldMapping,
    cursor: str | None = None,
    limits: ReadLimits | None = None,
    last_day: date | None = None,
    vectors: Sequence[VectorColumn] = (),
) -> CheckedRow:
    """Check one row against the mapping and the lake's contract.

    Args:
        row: The row as read.
        source: Name of the source; part of the document's id.
        fields: The mapping.
        cursor: Column of the arrival time, when it is another than `fields.time`.
        limits: How long its text and title may be; the defaults without it.
        last_day: The last day on which a row can have arrived; any without it.
        vectors: Of the model versions that embed nothing by themselves.
    """
    found: list[str] = []
    event_time = _moment(row.values, fields.time, found) if fields.time else None
    arrival = _moment(row.values, cursor, found) if cursor else event_time
    if arrival is not None and last_day is not None and arrival.date() > last_day:
        found.append(
            f"time out of range: column {cursor or fields.time!r} holds {arrival.isoformat()}, "
            f"after {last_day}; no day takes it"
        )
        arrival = None
    try:
        values = jsonable(row.values, as_text=fields.text_columns)
    except NotJson as error:
        return CheckedRow(
            key=identity_of(row.values.get(fields.key)),
            payload=None,
            row_hash="",
            operation="upsert",
            event_time=event_time,
            arrival=arrival,
            problems=(*found, f"not representable: {error}"),
        )
    key = _key(values, source, fields, found)
    gone = _is_deleted(values, fields.deleted, found) if fields.deleted else False
    _check_text(values, fields, found, gone, limits or ReadLimits())
    if not gone:
        _check_vectors(values, vectors, found)
    _check_tenant(values, fields, found)
    _check_attributes(row.values, values, fields, found)
    _check_relations(values, fields, found)
    payload = canonical_json(values)
    return CheckedRow(
        key=key,
        payload=payload,
        row_hash=hash_text(payload),
        operation="delete" if gone else "upsert",
        event_time=event_time,
        arrival=arrival,
        problems=tuple(found),
    )


def optional_columns(fields: FieldMapping) -> set[str]:
    """Mapped columns that a row may lack; that no row has one of them is worth saying."""
    columns = {*fields.attribute_columns.values(), *fields.relations.values()}
    single = (fields.title, fields.deleted, fields.text if fields.vectors else None)
    return columns | {column for column in single if column}


def _key(values: dict[str, Any], source: str, fields: FieldMapping, found: list[str]) -> str | None:
    value = values.get(fields.key)
    if value is None or (isinstance(value, str) and not value.strip()):
        absent = "is empty" if fields.key in values else "is not in the row"
        found.append(f"missing key: column {fields.key!r} {absent}")
        return None
    key = identity_of(value)
    if key is None:
        found.append(f"wrong type: key {fields.key!r} is {_kind(value)}, not a string or integer")
        return None
    # Its length is that of the document's id, below.
    if problem := identity_problem(key, max_bytes=sys.maxsize):
        found.append(f"bad key: column {fields.key!r} {problem}")
        return key
    size = len(doc_id_of(source, key))
    if size > MAX_DOC_ID_BYTES:
        found.append(
            f"key too long: its document id has {size} bytes, at most {MAX_DOC_ID_BYTES} fit"
        )
    return key


def _moment(values: dict[str, Any], column: str, found: list[str]) -> datetime | None:
    value = values.get(column)
    if value is None or value == "":
        found.append(f"missing time: column {column!r} is empty")
        return None
    if (moment := moment_of(value)) is not None:
        return moment
    shown = repr(value)[:60]
    found.append(
        f"unreadable time: column {column!r} holds {shown}, not an ISO 8601 date or time of the "
        f"years {YEARS[0]} to {YEARS[-1]}"
    )
    return None


def _is_deleted(values: dict[str, Any], column: str, found: list[str]) -> bool:
    value = values.get(column)
    truth = truth_of(value)
    if truth is None:
        found.append(f"wrong type: deleted {column!r} holds {value!r:.60}, not true or false")
    return truth is not False


def _check_text(
    values: dict[str, Any],
    fields: FieldMapping,
    found: list[str],
    gone: bool,
    limits: ReadLimits,
) -> None:
    """Text and title as they will be stored: what is blank or too long then, is so here.

    A row with vectors needs no text, and is not cut.
    """
    text = values.get(fields.text) if fields.text else None
    title = values.get(fields.title) if fields.title else None
    line = clean_line(title) if isinstance(title, str) else ""
    body = clean_text(text) if isinstance(text, str) else ""
    if title is not None and not isinstance(title, str):
        found.append(f"wrong type: title {fields.title!r} is {_kind(title)}, not a string")
    if text is None and (gone or fields.vectors):
        pass
    elif text is None:
        absent = "is empty" if fields.text in values else "is not in the row"
        found.append(f"missing text: column {fields.text!r} {absent}")
    elif not isinstance(text, str) and not gone:
        found.append(f"wrong type: text {fields.text!r} is {_kind(text)}, not a string")
    elif not body and not line and not gone and not fields.vectors:
        found.append(f"missing text: column {fields.text!r} is blank and there is no title")
    found += [
        str(too_long(f"column {column!r}", limits))
        for column, cleaned in ((fields.text, body), (fields.title, line))
        if len(cleaned) > limits.document_characters
    ]
    if fields.vectors and (size := len(body.encode())) > MAX_PASSAGE_BYTES:
        found.append(
            f"text too long: column {fields.text!r} holds {size} bytes; a document with a vector "
            f"of its own is one chunk, of {MAX_PASSAGE_BYTES} bytes at most"
        )


def _check_vectors(
    values: dict[str, Any], vectors: Sequence[VectorColumn], found: list[str]
) -> None:
    for wanted in vectors:
        value = values.get(wanted.column)
        if value is None or value == "":
            absent = "is empty" if wanted.column in values else "is not in the row"
            found.append(f"missing vector: column {wanted.column!r} {absent}")
            continue
        try:
            given_vector(value, wanted)
        except NotAVector as error:
            found.append(f"bad vector: column {wanted.column!r} {error}")


def _check_tenant(values: dict[str, Any], fields: FieldMapping, found: list[str]) -> None:
    for role, column in (("tenant", fields.tenant), ("region", fields.region)):
        value = column.value if isinstance(column, Constant) else values.get(column)
        where = role if isinstance(column, Constant) else f"{role} {column!r}"
        if value is None or (isinstance(value, str) and not value.strip()):
            found.append(f"missing {role}: {where} is empty")
        elif (identity := identity_of(value)) is None:
            found.append(f"wrong type: {where} is {_kind(value)}, not a string or integer")
        elif problem := identity_problem(identity, max_bytes=MAX_TENANT_BYTES):
            found.append(f"bad {role}: {where} {problem}")


def _check_attributes(
    read: dict[str, Any], values: dict[str, Any], fields: FieldMapping, found: list[str]
) -> None:
    # A NaN has no JSON form and lands as null, which would be an attribute lost in silence.
    given = {
        name: read[column] if _is_nan(read.get(column)) else values[column]
        for name, column in fields.attribute_columns.items()
        if read.get(column) is not None
    }
    found += [f"bad attribute: {problem}" for problem in attributes_problems(given)]
    found += _decimal_problems(read, values, fields)


def _decimal_problems(
    read: dict[str, Any], landed: dict[str, Any], fields: FieldMapping
) -> Iterator[str]:
    """A decimal that is no number lands as text, which an attribute is only where declared."""
    for name, column in fields.attribute_columns.items():
        value = landed.get(column)
        if column in fields.text_columns or not isinstance(read.get(column), Decimal):
            continue
        if isinstance(value, str):
            yield (
                f"bad attribute: {name}: the decimal {value:.40} has more digits than a number "
                f"holds; declare it as text: {{column: {column}, as: string}}"
            )


def _check_relations(values: dict[str, Any], fields: FieldMapping, found: list[str]) -> None:
    for predicate, column in fields.relations.items():
        value = values.get(column)
        items = value if isinstance(value, list) else [] if value is None else [value]
        found += [
            f"bad relation: {predicate}: column {column!r} {problem}"
            for problem in dict.fromkeys(map(_relation_problem, items))
            if problem
        ]


def _relation_problem(item: Any) -> str | None:
    identity = identity_of(item)
    if identity is None:
        return f"holds {_kind(item)}, not keys"
    # A blank one names nothing, as if it were not there.
    problem = identity_problem(identity) if identity.strip() else None
    return f"names a key that {problem}" if problem else None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _kind(value: Any) -> str:
    return type(value).__name__
