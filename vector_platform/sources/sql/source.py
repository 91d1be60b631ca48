"""Rows of a query, through SQLAlchemy.

Belongs here: connecting, narrowing a query by day, streaming, and keeping secrets out of every
message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vector_platform.lake.values import YEARS
from vector_platform.settings import SqlSource, expand_secrets
from vector_platform.sources.base import (
    DayWindow,
    Look,
    Source,
    SourceInvalid,
    SourceRow,
    SourceUnreachable,
)
from vector_platform.sources.sql.read_only import begin_reading, query_problem, reading_url
from vector_platform.sources.sql.values import take_any_value

if TYPE_CHECKING:
    from sqlalchemy import URL, BindParameter, Connection, Executable, TextClause
    from sqlalchemy.exc import SQLAlchemyError

# Rows fetched from the server at a time.
_FETCH_ROWS = 1000
# A database compares the cursor column in its own time zone, which we do not know; zones differ
# from UTC by 14 hours at most. The landing leaves out what does not belong to the day.
_ZONE_MARGIN = timedelta(days=1)
# No lake holds a time of this day or later, so no day takes its row.
_NEVER = date(YEARS.stop, 1, 1)
# Numbers of its types text, bpchar and varchar, as its drivers describe columns.
_POSTGRESQL_TEXT = {25, 1042, 1043}


class SqlReader(Source):
    """Rows of one query.

    With `cursor`, only rows that arrived around the day are asked for. With `fields.time` alone
    the past is asked for too, because a late row has an old event time.
    """

    def __init__(self, name: str, spec: SqlSource, root: Path) -> None:
        self.name = name
        self._spec = spec
        shown, self._secrets = _open_url(name, spec.url)
        self._url = shown
        # A relative path means the folder of platform.yaml, not wherever the process runs.
        self._file: Path | None = None
        database = self._url.database
        if self._url.get_backend_name() == "sqlite" and database not in (None, "", ":memory:"):
            self._file = root / str(database)
            self._url = reading_url(self._url, self._file)
        if problem := query_problem(spec.query):
            raise SourceInvalid(name, problem)
        self.uri = shown.set(query={}).render_as_string(hide_password=True)

    def read(self, window: DayWindow) -> Iterator[SourceRow]:
        """Stream the query's rows; `place` is the number of the row in the result.

        Raises:
            SourceUnreachable: The database does not answer or refuses.
            SourceInvalid: The URL, the driver, or the query is wrong.
        """
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield from self._stream(window)
            return
        except (SQLAlchemyError, ImportError) as error:
            failure = self._explain(error)
        # Raised here and not above: the original error, whose text may hold the URL, must not
        # travel along as the context of this one.
        raise failure

    def _stream(self, window: DayWindow) -> Iterator[SourceRow]:
        with self._reading() as connection:
            options = {"stream_results": True, "yield_per": _FETCH_ROWS}
            statement = self._statement(window, connection)
            result = connection.execution_options(**options).execute(statement)
            columns = list(result.keys())
            twice = sorted({column for column in columns if columns.count(column) > 1})
            if twice:
                raise SourceInvalid(
                    self.name, f"the query gives the column(s) {', '.join(twice)} twice; use AS"
                )
            for number, row in enumerate(result, start=1):
                values = dict(zip(columns, row, strict=True))
                yield SourceRow(values, f"row {number} of the query", self.uri)

    def look(self, *, connect: bool) -> Look:
        """The columns of the query, by asking for none of its rows; without `connect`, the driver.

        A file of SQLite is looked into in any case.
        """
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return self._look(connect=connect)
        except (SQLAlchemyError, ImportError) as error:
            failure = self._explain(error)
        raise failure  # see `read`

    def _look(self, *, connect: bool) -> Look:
        self._url.get_dialect().import_dbapi()
        if not connect and self._file is None:
            return Look()
        with self._reading() as connection:
            columns = tuple(connection.execute(self._no_row()).keys())
        size = self._file.stat().st_size if self._file is not None else None
        return Look(columns, every_column=True, size_bytes=size)

    def _no_row(self) -> Executable:
        """The query for its columns alone."""
        from sqlalchemy import literal_column, select

        rows = self._query().columns().subquery("landing")
        return select(literal_column("*")).select_from(rows).where(literal_column("1 = 0"))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        if self._file is not None and not self._file.is_file():
            # SQLite would make an empty database of it.
            raise SourceUnreachable(self.name, f"{self.uri}: no such file")
        engine = create_engine(self._url, poolclass=NullPool)
        take_any_value(engine)
        with engine.connect() as connection:
            begin_reading(connection, engine.dialect.name)
            yield connection

    def _query(self) -> TextClause:
        from sqlalchemy import text

        # A colon in a query is a colon: no parameter of ours is in the user's text.
        # The line break ends a comment on the query's last line.
        return text(self._spec.query.strip().rstrip(";").replace(":", "\\:") + "\n")

    def _statement(self, window: DayWindow, connection: Connection) -> Executable:
        from sqlalchemy import Date, String, bindparam, column, func, literal_column, or_, select

        query = self._query()
        cursor = self._spec.cursor or self._spec.fields.time
        if self._spec.fields.time is None or cursor is None:
            return query
        rows = query.columns(column(cursor)).subquery("landing")
        arrived = rows.c[cursor]
        is_text = self._is_text(cursor, connection)

        def bound(name: str, day: date) -> BindParameter[Any]:
            # Dates in text are compared as text: ISO 8601 sorts by itself.
            if is_text:
                return bindparam(name, day.isoformat(), type_=String())
            return bindparam(name, day, type_=Date())

        until = bound("until", (window.end + _ZONE_MARGIN).date())
        since = bound("since", (window.start - _ZONE_MARGIN).date())
        wanted = arrived < until
        if self._spec.cursor is not None:
            wanted &= arrived >= since
        # What has no time that a day can take must come too: it is rejected by name, not lost in
        # silence. `infinity` of PostgreSQL is later than any date.
        unreadable = [arrived.is_(None), arrived >= bound("never", _NEVER)]
        if is_text:
            unreadable.append(arrived.not_like("____-__-__%"))
        if connection.dialect.name == "sqlite":
            unreadable.append(func.typeof(arrived).in_(["integer", "real", "blob"]))
        return select(literal_column("*")).select_from(rows).where(or_(wanted, *unreadable))

    def _is_text(self, name: str, connection: Connection) -> bool:
        """Whether a column holds text: PostgreSQL compares it with no date."""
        if connection.dialect.name != "postgresql":
            return connection.dialect.name == "sqlite"
        with connection.execute(self._no_row()) as result:
            columns = result.cursor.description if result.cursor is not None else None
        return any(one[0] == name and one[1] in _POSTGRESQL_TEXT for one in columns or ())

    def _explain(self, error: SQLAlchemyError | ImportError) -> Exception:
        from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

        if isinstance(error, ImportError):
            return SourceInvalid(
                self.name, f"{self.uri} needs a driver that is not installed: {error}"
            )
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        said = str(cause)
        for secret in sorted(self._secrets, key=len, reverse=True):
            said = said.replace(secret, "***")
        what = f"{self.uri}: {type(cause).__name__}: {said}"
        if isinstance(error, (OperationalError, InterfaceError)):
            return SourceUnreachable(self.name, what)
        return SourceInvalid(self.name, what)


def _open_url(name: str, configured: str) -> tuple[URL, set[str]]:
    """The URL with its secrets, and the texts that no message may show."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    problem = ""
    expand_secrets(configured)  # names every variable that is not set, not only the first
    try:
        # Secrets are put into the parts, not into the text: a password may hold `@` or `/`.
        url = _expand_parts(make_url(configured))
    except (ArgumentError, ValueError):
        try:
            url = make_url(expand_secrets(configured))
        except (ArgumentError, ValueError) as error:
            problem = type(error).__name__
    if problem:
        raise SourceInvalid(name, f"url is not a database URL of SQLAlchemy ({problem})")
    secrets = {expand_secrets(match) for match in re.findall(r"\$\{\w+\}", configured)}
    secrets |= {url.password} if isinstance(url.password, str) else set()
    return url, {secret for secret in secrets if len(secret) > 1}


def _expand_parts(url: URL) -> URL:
    parts: dict[str, Any] = {
        part: expand_secrets(value)
        for part in ("username", "password", "host", "database")
        if isinstance(value := getattr(url, part), str)
    }
    query = {
        name: expand_secrets(value) if isinstance(value, str) else value
        for name, value in url.query.items()
    }
    return url.set(**parts, query=query)
