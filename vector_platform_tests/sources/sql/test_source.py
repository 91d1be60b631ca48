"""Rows of a database, on real SQLite files."""

from __future__ import annotations

import socket
import sqlite3
import traceback
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from vector_platform.lake.lake import Lake
from vector_platform.settings import SettingsError, SqlSource
from vector_platform.sources.base import DayWindow, SourceInvalid, SourceRow, SourceUnreachable
from vector_platform.sources.landing.landing import land
from vector_platform.sources.landing.report import LandingReport
from vector_platform.sources.registry import open_source
from vector_platform_tests.sources.landings import FIRST_DAY, NAME, day, newest, rejects

PASSWORD = "hunt:er@2/secret"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "notes.db")
    connection.execute("CREATE TABLE notes (id INTEGER, text TEXT, at, arrived)")
    yield connection
    connection.close()


def fill(database: sqlite3.Connection, *rows: tuple[Any, ...]) -> None:
    database.executemany("INSERT INTO notes VALUES (?, ?, ?, ?)", rows)
    database.commit()


def spec(url: str = "sqlite:///notes.db", query: str = "SELECT * FROM notes", **more: Any) -> Any:
    fields = {"key": "id", "text": "text", **more.pop("fields", {})}
    return SqlSource.model_validate(
        {"kind": "sql", "url": url, "query": query, "fields": fields, **more}
    )


def read(root: Path, settings: SqlSource, on: date = FIRST_DAY) -> list[SourceRow]:
    return list(open_source(NAME, settings, root).read(DayWindow(on)))  # type: ignore[arg-type]


def land_day(root: Path, settings: SqlSource, number: int) -> LandingReport:
    from datetime import UTC, datetime

    return land(
        lake=Lake(str(root / "lake")),
        name=NAME,
        spec=settings,
        source=open_source(NAME, settings, root),
        day=day(number),
        first_day=FIRST_DAY,
        run_id=f"day{number}",
        now=datetime.now(UTC),
    )


def test_rows_of_a_query_have_numbers_and_a_uri(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    fill(database, (1, "one", None, None), (2, "two", None, None))
    rows = read(tmp_path, spec(query="SELECT id, text FROM notes ORDER BY id;"))
    assert [row.values for row in rows] == [{"id": 1, "text": "one"}, {"id": 2, "text": "two"}]
    assert [row.place for row in rows] == ["row 1 of the query", "row 2 of the query"]
    assert rows[0].uri == "sqlite:///notes.db"


def test_text_that_is_not_utf_8_rejects_its_row_alone(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    fill(database, (1, "one", None, None), (3, "three", None, None))
    database.execute("INSERT INTO notes (id, text) VALUES (2, CAST(x'636166e9' AS TEXT))")
    database.commit()
    settings = spec(query="SELECT id, text FROM notes")
    report = land_day(tmp_path, settings, 1)
    assert (report.inserted, report.reject_reasons) == (2, {"not representable": 1})


def test_a_colon_and_a_percent_sign_in_a_query_are_only_that(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    fill(database, (1, "12:30 :x 100%", None, None))
    query = "SELECT * FROM notes WHERE text LIKE '%:30 :x%'"
    assert len(read(tmp_path, spec(query=query))) == 1
    timed: dict[str, Any] = {"fields": {"time": "at"}, "cursor": "arrived"}
    assert len(read(tmp_path, spec(query=query + " -- :note", **timed))) == 1


def test_the_cursor_narrows_the_query_to_about_the_day(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    fill(database, *((n, "t", "2026-11-01", f"2026-11-{n:02d}T12:00:00") for n in range(1, 21)))
    settings = spec(fields={"time": "at"}, cursor="arrived")
    assert [row.values["id"] for row in read(tmp_path, settings, day(10))] == [9, 10, 11]


def test_without_a_cursor_the_past_is_read_too_because_late_rows_are_there(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    fill(database, *((n, "t", f"2026-11-{n:02d} 12:00:00", None) for n in range(1, 21)))
    assert len(read(tmp_path, spec(fields={"time": "at"}), day(5))) == 6


@pytest.mark.parametrize("cursor", [None, "arrived"])
def test_every_row_lands_on_exactly_one_day_whatever_the_narrowing(
    database: sqlite3.Connection, tmp_path: Path, cursor: str | None
) -> None:
    texts = ["2026-11-{:02d}", "2026-11-{:02d}T00:00:00Z", "2026-11-{:02d} 23:59:59.999999"]
    moments = [text.format(number) for number in range(1, 6) for text in texts]
    fill(database, *((n, "t", moment, moment) for n, moment in enumerate(moments)))
    settings = spec(fields={"time": "at"}, cursor=cursor)
    assert [land_day(tmp_path, settings, number).inserted for number in range(1, 6)] == [3] * 5
    assert len(newest(Lake(str(tmp_path / "lake")))) == 15


def test_a_row_that_arrives_late_lands_on_the_day_of_its_cursor(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    fill(database, (1, "on time", "2026-11-01", "2026-11-01"))
    settings = spec(fields={"time": "at"}, cursor="arrived")
    land_day(tmp_path, settings, 1)
    fill(database, (2, "late", "2026-11-01", "2026-11-03"))
    assert land_day(tmp_path, settings, 2).inserted == 0
    report = land_day(tmp_path, settings, 3)
    assert (report.inserted, report.late) == (1, 1)


@pytest.mark.parametrize("cursor", [None, "arrived"])
def test_rows_whose_time_cannot_be_read_are_rejected_and_not_narrowed_away(
    database: sqlite3.Connection, tmp_path: Path, cursor: str | None
) -> None:
    bad = (None, 1764547200, 1764547200.5, "never", "31.12.2026")
    fill(database, *((n, "t", moment, moment) for n, moment in enumerate(bad)))
    report = land_day(tmp_path, spec(fields={"time": "at"}, cursor=cursor), 1)
    # Text that is no time sorts after every date, and is told from the future by its shape.
    assert report.rejected == 5
    found = rejects(Lake(str(tmp_path / "lake"))).values()
    assert {reason.split(":")[0] for reason in found} == {"missing time", "unreadable time"}


def test_two_columns_of_one_name_are_refused(database: sqlite3.Connection, tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match=r"column\(s\) id twice; use AS"):
        read(tmp_path, spec(query="SELECT id, text, at AS id FROM notes"))


def test_a_missing_sqlite_file_is_unreachable_and_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match=r"source 'notes'.*no such file"):
        read(tmp_path, spec(url="sqlite:///missing.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_query_that_fails_says_what_the_database_said(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    with pytest.raises(SourceUnreachable, match="no such table: no_table"):
        read(tmp_path, spec(query="SELECT * FROM no_table"))


@pytest.mark.parametrize("url", ["not a url", "nosuchdb://host/db", "${DATABASE_URL}"])
def test_a_url_that_is_none_is_told_without_showing_it(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"rubbish {PASSWORD}")
    with pytest.raises(SourceInvalid, match="source 'notes'") as raised:
        read(tmp_path, spec(url=url))
    assert PASSWORD not in everything(raised.value)


def test_a_secret_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTES_PASSWORD", raising=False)
    with pytest.raises(SettingsError, match="NOTES_PASSWORD is not set"):
        open_source(NAME, spec(url="sqlite://u:${NOTES_PASSWORD}@/notes.db"), tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "leaky://user:${NOTES_PASSWORD}@127.0.0.1:PORT/db?token=${NOTES_PASSWORD}",
        "${NOTES_URL}",
    ],
)
def test_secrets_are_in_no_message_and_in_no_lineage(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.dialects import registry

    registry.register("leaky", __name__, "LeakyDialect")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = str(closed.getsockname()[1])
    monkeypatch.setenv("NOTES_PASSWORD", PASSWORD)
    monkeypatch.setenv("NOTES_URL", "leaky://user:hunt%3Aer%402%2Fsecret@127.0.0.1/db")
    source = open_source(NAME, spec(url=url.replace("PORT", port)), tmp_path)
    with pytest.raises(SourceUnreachable, match=r"source 'notes'.*leaky://user:\*\*\*@") as raised:
        list(source.read(DayWindow(FIRST_DAY)))
    shown = everything(raised.value)
    assert PASSWORD not in shown and "hunt%3Aer" not in shown
    assert PASSWORD not in source.uri  # type: ignore[attr-defined]


def everything(error: BaseException) -> str:
    """All that a log or the UI could show of an error, its causes included."""
    return "".join(traceback.format_exception(error)) + repr(error.__context__)


def _leaky_dialect() -> type:
    """A dialect whose driver repeats the password in its error, as some drivers do."""
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

    class Leaky(SQLiteDialect_pysqlite):
        supports_statement_cache = True

        def create_connect_args(self, url: Any) -> Any:
            return [], {"password": url.password}

        def connect(self, *args: Any, **kwargs: Any) -> Any:
            raise sqlite3.OperationalError(f"login failed: password={kwargs['password']}")

    return Leaky


LeakyDialect = _leaky_dialect()


def _contents(database: sqlite3.Connection) -> list[Any]:
    tables = database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    return [tables, *(database.execute(f"SELECT * FROM {name}").fetchall() for name, _ in tables)]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DROP TABLE notes", "begins with 'DROP'"),
        ("  -- only a look\n delete from notes", "begins with 'delete'"),
        (
            "INSERT INTO notes VALUES (9, 'x', NULL, NULL) RETURNING id, text",
            "begins with 'INSERT'",
        ),
        ("PRAGMA user_version = 7", "begins with 'PRAGMA'"),
        ("ATTACH DATABASE 'beside.db' AS beside", "begins with 'ATTACH'"),
        ("SELECT id, text FROM notes; DROP TABLE notes", "more than one statement"),
        ("SELECT id, text FROM notes /* ; */ ;\nDROP TABLE notes;", "more than one statement"),
        ("SELECT E'a\\'' ; DROP TABLE notes; --'", "more than one statement"),
        ("/* /* */ ' */; DROP TABLE notes; --'", "a comment of the query holds another one"),
        (" ; ", "the query is empty"),
        ("WITH gone AS (SELECT 1) DELETE FROM notes RETURNING id, text", "readonly database"),
        ("WITH new(a) AS (SELECT 5) INSERT INTO notes SELECT a, a, a, a FROM new", "readonly"),
    ],
)
@pytest.mark.parametrize("timed", [False, True])
def test_a_query_that_would_write_is_refused_and_nothing_is_written(
    database: sqlite3.Connection, tmp_path: Path, query: str, said: str, timed: bool
) -> None:
    fill(database, (1, "one", "2026-11-01", None))
    before = _contents(database)
    settings = spec(query=query, fields={"time": "at"} if timed else {})
    with pytest.raises((SourceInvalid, SourceUnreachable)) as raised:
        read(tmp_path, settings)
    # A statement of another kind is no part of a narrowed query, whatever the database then says.
    assert timed or said in str(raised.value)
    assert _contents(database) == before
    assert database.execute("PRAGMA user_version").fetchone() == (0,)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.db"}


def test_semicolons_in_texts_names_and_comments_are_no_statements(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    fill(database, (1, "a;b", None, None))
    query = "SELECT id, text AS \"te;xt\", text /* ; */ FROM notes WHERE text = 'a;b' -- ; DROP"
    (row,) = read(tmp_path, spec(query=query))
    assert row.values == {"id": 1, "te;xt": "a;b", "text": "a;b"}
