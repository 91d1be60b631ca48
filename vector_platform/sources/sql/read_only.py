"""A source's query reads and nothing else: one statement, in a transaction that cannot write.

Belongs here: what is asked of a query before it is run, and how a database is told to refuse
writes.

A person writes the query, so this is a guard against mistakes. The database's own is the best:
give the platform a user that may only read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

# How a statement that only reads begins.
_READS = ("SELECT", "WITH", "VALUES", "TABLE", "FROM")

# First in a transaction, this makes the database refuse writes until its end. We never commit.
_READ_ONLY = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "START TRANSACTION READ ONLY",
    "mariadb": "START TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}

_COMMENT = r"--[^\n]*|/\*.*?(?:\*/|$)"
_NAMED = r"`[^`]*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"
# Some databases take a backslash in a text as an escape, others as itself: neither may find two.
_QUOTED = (
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"",
    r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"",
)
_SILENT = tuple(re.compile(f"{_COMMENT}|{one}|{_NAMED}", re.DOTALL) for one in _QUOTED)


def query_problem(query: str) -> str | None:
    """Why a query is not one statement that reads, or None when it is."""
    readings = [_code(query, silent) for silent in _SILENT]
    if any(found[0].startswith("/*") and "/*" in found[0][2:] for found in _comments(query)):
        return "a comment of the query holds another one, which not every database reads alike"
    if any(";" in reading.rstrip().rstrip(";") for reading in readings):
        return "the query holds more than one statement; a source reads with one SELECT"
    words = readings[0].replace("(", " ").replace(";", " ").split(maxsplit=1)
    if not words:
        return "the query is empty"
    if words[0].upper() not in _READS:
        return f"the query begins with {words[0]!r:.40}; a source reads with one SELECT"
    return None


def _comments(query: str) -> list[re.Match[str]]:
    return [found for silent in _SILENT for found in silent.finditer(query)]


def _code(query: str, silent: re.Pattern[str]) -> str:
    """The query without its comments; quoted parts are emptied."""
    return silent.sub(lambda found: " " if found[0][:2] in ("--", "/*") else "''", query)


def reading_url(url: URL, file: Path) -> URL:
    """The URL of a SQLite file, opened so that nothing can be written to it."""
    opened = {"mode": "ro", "uri": "true"}
    return url.set(database=f"file:{quote(str(file))}", query={**url.query, **opened})


def begin_reading(connection: Connection, dialect: str) -> None:
    """Begin a transaction that cannot write, where the database has such."""
    if statement := _READ_ONLY.get(dialect):
        connection.exec_driver_sql(statement)
