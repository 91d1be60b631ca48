"""The contract's functions in SQL say what they say in Python, byte by byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.corpus.chunking import Chunker
from vector_platform.corpus.dbt_plugin import attribute_problems, register_functions
from vector_platform.lake.contract import MAX_EXACT_INT, canonical_json, doc_id_of
from vector_platform.settings import FieldMapping, ReadLimits
from vector_platform.sources.base import SourceRow
from vector_platform.sources.landing.rows import check_row

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# What two rules of one thing would differ on: invisible, at an edge, or more than one form of it.
EDGES = st.sampled_from(
    [
        *(
            " ",
            "\n",
            "\r\n",
            "\t",
            "\x00",
            "\x1c",
            "\x85",
            "\xa0",
            "\xad",
            "\u200b",
            "\u2060",
            "\ufeff",
        ),
        *(
            "\u3164",
            "\u2800",
            "\ufe0f",
            "\U000e0100",
            "e\u0301",
            "\u212b",
            "\U0001d15e",
            "\ufb2c",
            "x",
        ),
    ]
)
ODD_TEXT = st.lists(EDGES | st.characters(exclude_categories=["Cs"]), max_size=8).map("".join)
FIELDS = FieldMapping(key="id", text="text", title="title", time="at", deleted="gone")
CHUNKER = Chunker(max_tokens=64)
LIMITS = ReadLimits.model_construct(**ReadLimits().model_dump() | {"document_characters": 6})
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


@given(
    text=ODD_TEXT,
    title=ODD_TEXT | st.none(),
    gone=st.booleans() | st.none() | st.sampled_from(["y", " NO ", "perhaps", 0, 1, 2, 0.0]),
    at=st.datetimes().map(str) | st.datetimes().map(lambda at: f"{at}+02:00") | TEXT,
)
def test_a_row_lands_when_and_only_when_sql_makes_a_document_of_it_that_has_a_chunk(
    sql: duckdb.DuckDBPyConnection, text: str, title: str | None, gone: Any, at: str
) -> None:
    values = {"id": "k", "text": text, "title": title, "gone": gone, "at": at}
    checked = check_row(SourceRow(values, "p", "u"), source="s", fields=FIELDS, limits=LIMITS)
    kinds = {problem.partition(":")[0] for problem in checked.problems}
    payload = canonical_json(values)
    body, line, truth, moment = (
        call(sql, function, payload, column)
        for function, column in (
            ("text_of", "text"),
            ("line_of", "title"),
            ("truth_of", "gone"),
            ("time_of", "at"),
        )
    )
    assert ("wrong type" in kinds) == (truth is None)
    assert (checked.operation == "delete") == (truth is not False)
    assert checked.event_time == moment
    assert (moment is None) == bool({"missing time", "unreadable time"} & kinds)
    assert ("over a limit" in kinds) == any(len(part or "") > 6 for part in (body, line))
    if truth is False:
        has_text = not kinds & {"missing text"}
        assert has_text == bool(body or line) == bool(CHUNKER.chunk(line or "", body))
    # Cleaned once is cleaned: what has landed does not change by being read again.
    assert call(sql, "clean_text", body) == body
