"""What dbt's DuckDB knows of the platform: raw tables as sources, and the contract's functions.

Belongs here: the dbt-duckdb plugin that the profile names. Does not belong here: any mapping or
rule of the models (`dbt/`). Document ids and attributes come from the contract's own Python
functions, so that SQL cannot drift from it by a byte; everything else is SQL.
"""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin

from vector_platform.lake.contract import attribute_problem, canonical_json, doc_id_of, raw_spec
from vector_platform.lake.tables import Table

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
    found = {name: attribute_problem(value) for name, value in values.items()}
    return "; ".join(f"{name}: {problem}" for name, problem in found.items() if problem)


def _column(values: Iterator[str]) -> pa.Array:
    return pa.array(values, pa.string())


def register_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the contract's functions callable in SQL; null in, null out."""
    from duckdb.func import PythonUDFType

    def over_pairs(function: Callable[[str, str], str]) -> Callable[[Any, Any], pa.Array]:
        return lambda a, b: _column(
            function(x, y) for x, y in zip(a.to_pylist(), b.to_pylist(), strict=True)
        )

    def over_values(function: Callable[[str], str]) -> Callable[[Any], pa.Array]:
        return lambda a: _column(function(x) for x in a.to_pylist())

    functions: list[tuple[str, int, Callable[..., pa.Array]]] = [
        ("doc_id_of", 2, over_pairs(doc_id_of)),
        ("canonical_attributes", 2, over_pairs(canonical_attributes)),
        ("attribute_problems", 1, over_values(attribute_problems)),
    ]
    for name, arity, function in functions:
        connection.create_function(
            name, function, ["VARCHAR"] * arity, "VARCHAR", type=PythonUDFType.ARROW
        )


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt ships no types
    """The plugin `lake` of the dbt profile."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Register the functions once for the database and all its cursors."""
        register_functions(conn)
        # DuckDB's bindings report a leak when a connection with functions outlives Python.
        atexit.register(conn.close)

    def load(self, source_config: Any) -> Any:
        """A source's raw table as an Arrow dataset; empty when nothing has landed yet."""
        return Table(raw_spec(source_config.identifier), source_config["lake_uri"], None).dataset()

    def default_materialization(self) -> str:
        """A view: rows are read from the lake, never copied."""
        return "view"
