"""The contract's functions in SQL say what they say in Python, byte by byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.corpus.dbt_plugin import attribute_problems, register_functions
from vector_platform.lake.contract import MAX_EXACT_INT, canonical_json, doc_id_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.one_of(
    TEXT,
    st.booleans(),
    st.integers(-MAX_EXACT_INT, MAX_EXACT_INT),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(TEXT, max_size=4),
)


@pytest.fixture(scope="module")
def sql() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    register_functions(connection)
    yield connection
    connection.close()


def call(sql: duckdb.DuckDBPyConnection, function: str, *values: str | None) -> Any:
    marks = ", ".join("?" for _ in values)
    return sql.execute(f"SELECT {function}({marks})", list(values)).fetchall()[0][0]


@given(row=st.dictionaries(TEXT, VALUES | st.none(), max_size=6), data=st.data())
def test_attributes_are_the_contracts_canonical_json(
    sql: duckdb.DuckDBPyConnection, row: dict[str, Any], data: st.DataObject
) -> None:
    columns = st.sampled_from(sorted(row)) | TEXT if row else TEXT
    mapping = data.draw(st.dictionaries(TEXT, columns, max_size=6))
    expected = {
        name: row[column] for name, column in mapping.items() if row.get(column) is not None
    }
    found = call(sql, "canonical_attributes", canonical_json(row), json.dumps(mapping))
    assert found == canonical_json(expected)
    assert call(sql, "attribute_problems", found) == ""


@given(key=TEXT)
def test_ids_are_the_contracts(sql: duckdb.DuckDBPyConnection, key: str) -> None:
    assert call(sql, "doc_id_of", "source", key) == doc_id_of("source", key)


def test_functions_of_null_are_null(sql: duckdb.DuckDBPyConnection) -> None:
    assert call(sql, "doc_id_of", "source", None) is None
    assert sql.execute(
        "SELECT doc_id_of('s', k) FROM (VALUES ('a'), (NULL), ('b')) t(k)"
    ).fetchall() == [("s:a",), (None,), ("s:b",)]


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ('{"a":{}}', "a: type dict fits no backend"),
        ('{"a":[1],"b":9007199254740993}', "; b: integer 9007199254740993 is beyond 2^53"),
    ],
    ids=["not an object", "not JSON", "nested", "every problem is listed"],
)
def test_what_no_backend_holds_is_named(attributes: str, problem: str) -> None:
    assert problem in attribute_problems(attributes)
