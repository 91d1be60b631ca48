"""Values that a database holds and its driver cannot give to Python.

Belongs here: letting them through as text, so that the landing judges their row alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Types of PostgreSQL that reach beyond the years 1 to 9999, or beyond 24 hours a day.
_TIMES = ("date", "timestamp", "timestamptz", "time", "timetz", "interval")


def take_any_value(engine: Engine) -> None:
    """Let connections of an engine give as text what has no other form in Python."""
    from sqlalchemy import event

    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _take_any_text)
    if (engine.dialect.name, engine.dialect.driver) == ("postgresql", "psycopg"):
        event.listen(engine, "connect", _take_any_time)


def _take_any_text(connection: Any, _: object) -> None:
    """Text of SQLite that is not UTF-8."""
    connection.text_factory = lambda content: content.decode("utf-8", "surrogateescape")


def _take_any_time(connection: Any, _: object) -> None:
    """`infinity`, dates before Christ and 24 o'clock of PostgreSQL."""
    from psycopg import DataError
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    def lenient(strict: type) -> type:
        class Lenient(Loader):
            def __init__(self, oid: int, context: Any = None) -> None:
                super().__init__(oid, context)
                self._strict = strict(oid, context)

            def load(self, data: Any) -> Any:
                try:
                    return self._strict.load(data)
                except DataError:
                    return bytes(data).decode()

        return Lenient

    for name in _TIMES:
        oid = connection.adapters.types[name].oid
        strict = connection.adapters.get_loader(oid, Format.TEXT)
        connection.adapters.register_loader(name, lenient(strict))
