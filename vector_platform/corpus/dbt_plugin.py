"""What dbt's DuckDB knows of the platform: raw tables as sources, and the contract's functions.

Belongs here: the dbt-duckdb plugin that the profile names. What a value of a row means comes from
the contract's own Python functions, so that SQL cannot drift from it by a byte: ids, identities,
attributes, texts, flags and times. Everything else is SQL.
"""

from __future__ import annotations

import atexit
import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin

from vector_platform.lake.contract import (
    MAX_ID_BYTES,
    MAX_TENANT_BYTES,
    TIMESTAMP,
    attributes_problems,
    canonical_json,
    clean_text,
    doc_id_of,
    identity_of,
    identity_problem,
    line_of,
    moment_of,
    raw_spec,
    text_of,
    truth_of,
)
from vector_platform.lake.storage.tables import Table

if TYPE_CHECKING:
    import duckdb


def canonical_attributes(payload: str, mapping: str) -> str:
    """The mapped columns of a raw row as canonical JSON; nulls and missing columns are dropped.

    Args:
        payload: The source's row, a JSON object.
        mapping: JSON object: attribute name -> column.
    """
    row = json.loads(payload)
    values = {name: row.get(column) for name, column in json.loads(mapping).items()}
    return canonical_json({name: value for name, value in values.items() if value is not None})


def attribute_problems(attributes: str) -> str:
    """Every reason why a document's attributes are not admissible, or an empty string."""
    try:
        values = json.loads(attributes)
    except ValueError as error:
        return f"not JSON ({error})"
    if not isinstance(values, dict):
        return "not a JSON object"
    return "; ".join(attributes_problems(values))


def identity_in(payload: str, column: str) -> str:
    """The identity that a column of a raw row names, exactly; empty when it names none."""
    return identity_of(json.loads(payload).get(column)) or ""


def _in_column(meaning: Callable[[Any], Any]) -> Callable[[str, str], Any]:
    """What a function of a value says of a column of a raw row; None when it is missing."""

    def found(payload: str, column: str) -> Any:
        return meaning(json.loads(payload).get(column))

    return found


def relations_in(payload: str, mapping: str) -> list[dict[str, str]]:
    """What the mapped columns of a raw row name, as {predicate, value}; values are exact.

    Args:
        payload: The source's row, a JSON object.
        mapping: JSON object: predicate -> column of one key or a list of keys.
    """
    row = json.loads(payload)
    found = []
    for predicate, column in json.loads(mapping).items():
        value = row.get(column)
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            name = identity_of(item)
            if name is None:
                # Only a mapping that changed after landing meets something else than a name.
                name = "" if item is None else canonical_json(item)
            if name.strip():
                found.append({"predicate": predicate, "value": name})
    return found


def id_problem(identity: str) -> str:
    """Why a text cannot be an id or name an object, or an empty string."""
    return identity_problem(identity, max_bytes=MAX_ID_BYTES) or ""


def tenant_problem(identity: str) -> str:
    """Why a text cannot be a tenant or region, or an empty string."""
    return identity_problem(identity, max_bytes=MAX_TENANT_BYTES) or ""


# What `relations_in` gives, for DuckDB and for Arrow.
_RELATIONS_SQL = "STRUCT(predicate VARCHAR, value VARCHAR)[]"
_RELATIONS = pa.list_(pa.struct([("predicate", pa.string()), ("value", pa.string())]))


def register_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the contract's functions callable in SQL; null in, null out."""
    from duckdb.func import FunctionNullHandling, PythonUDFType

    functions: list[tuple[str, int, Callable[..., Any], str, pa.DataType]] = [
        ("doc_id_of", 2, doc_id_of, "VARCHAR", pa.string()),
        ("identity_of", 2, identity_in, "VARCHAR", pa.string()),
        ("text_of", 2, _in_column(text_of), "VARCHAR", pa.string()),
        ("line_of", 2, _in_column(line_of), "VARCHAR", pa.string()),
        ("truth_of", 2, _in_column(truth_of), "BOOLEAN", pa.bool_()),
        ("time_of", 2, _in_column(moment_of), "TIMESTAMPTZ", TIMESTAMP),
        ("clean_text", 1, clean_text, "VARCHAR", pa.string()),
        ("relations_of", 2, relations_in, _RELATIONS_SQL, _RELATIONS),
        ("canonical_attributes", 2, canonical_attributes, "VARCHAR", pa.string()),
        ("attribute_problems", 1, attribute_problems, "VARCHAR", pa.string()),
        ("id_problem", 1, id_problem, "VARCHAR", pa.string()),
        ("tenant_problem", 1, tenant_problem, "VARCHAR", pa.string()),
    ]
    for name, arity, function, kind, arrow in functions:
        connection.create_function(
            name,
            _over_columns(function, arrow),
            ["VARCHAR"] * arity,
            kind,
            type=PythonUDFType.ARROW,
            # By default a function may not find nothing in a value that is there.
            null_handling=FunctionNullHandling.SPECIAL,
        )


def _over_columns(function: Callable[..., Any], kind: pa.DataType) -> Callable[..., pa.Array]:
    """A function of texts as one of Arrow columns of texts."""

    def call(*values: str | None) -> Any:
        return None if None in values else function(*values)

    def one(a: Any) -> pa.Array:
        return pa.array(map(call, a.to_pylist()), kind)

    def two(a: Any, b: Any) -> pa.Array:
        return pa.array(map(call, a.to_pylist(), b.to_pylist()), kind)

    return one if len(inspect.signature(function).parameters) == 1 else two


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt ships no types
    """The plugin `lake` of the dbt profile."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Register the functions once for the database and all its cursors."""
        register_functions(conn)
        # DuckDB's bindings report a leak when a connection with functions outlives Python.
        atexit.register(conn.close)

    def load(self, source_config: Any) -> Any:
        """A source's raw table as an Arrow dataset; empty when nothing has landed yet."""
        table = Table(raw_spec(source_config.identifier), source_config["lake_uri"], None)
        table.require_files()
        return table.dataset()

    def default_materialization(self) -> str:
        """A view: rows are read from the lake, never copied."""
        return "view"
