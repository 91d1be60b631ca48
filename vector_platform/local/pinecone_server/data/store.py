"""The durable truth of one index: a SQLite file, acknowledged only after commit.

Belongs here: writes, log positions, loading a namespace into memory.

Every write is one transaction (write-ahead log, `synchronous=FULL`: the log is on disk before
commit returns) that also advances its namespace's log position. Memory is changed only after
the commit, so a kill at any moment loses nothing that was acknowledged. A namespace is read into
memory when first used; opening an index costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from ..errors import RequestRefusedError
from .database import (
    SCHEMA,
    connect,
    decode_record,
    encode_record,
    transaction,
)
from .memory.namespace import Namespace
from .memory.views import View
from .records import Record

ReadKind = Literal["fetch", "search"]
_READ_KINDS: tuple[ReadKind, ...] = ("fetch", "search")
#: Seconds until a write may be seen by a kind of reader; asked once a write.
Delay = Callable[[ReadKind], float]

_LOAD_ROWS = 2048


@dataclass(frozen=True, slots=True)
class Alias:
    """A namespace alias: a name that reads follow to its target."""

    name: str
    target: str
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class _NamespaceRow:
    key: int
    lsn: int
    live: bool
    declared_schema: dict[str, Any] | None


class IndexStore:
    """All records of one index.

    Use every method inside `with store.session():`, which holds the index's lock.

    Args:
        path: The SQLite file; created when absent.
        dimension: Length of dense vectors; 0 when the index has none.
        metric: The index's metric.
        delay: How long writes stay hidden from each kind of reader.
    """

    def __init__(self, path: Path, *, dimension: int, metric: str, delay: Delay) -> None:
        self._lock = threading.RLock()
        self._dimension = dimension
        self._metric = metric
        self._delay = delay
        self._closed = False
        self.db = connect(path)
        self.db.executescript(SCHEMA)
        self._loaded: dict[str, Namespace] = {}
        self._rows: dict[str, _NamespaceRow] = {
            name: _NamespaceRow(key, lsn, bool(live), orjson.loads(schema) if schema else None)
            for key, name, lsn, live, schema in self.db.execute("select * from namespace")
        }
        self.aliases: dict[str, Alias] = {
            row[0]: Alias(*row) for row in self.db.execute("select * from alias")
        }

    @contextmanager
    def session(self) -> Iterator[None]:
        """Hold the index for one request; refuse when it was deleted meanwhile."""
        with self._lock:
            if self._closed:
                raise RequestRefusedError(404, "The index was deleted.")
            yield

    def close(self) -> None:
        """Close the file; later sessions are refused. Closing twice is allowed."""
        with self._lock:
            self._closed = True
            self.db.close()

    # -- namespaces ------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of all live namespaces, sorted."""
        return sorted(name for name, row in self._rows.items() if row.live)

    def namespace(self, name: str) -> Namespace | None:
        """Return a namespace, loading it on first use; None when it does not exist."""
        row = self._rows.get(name)
        if row is None or not row.live:
            return None
        if name not in self._loaded:
            self._loaded[name] = self._load(name, row)
        return self._loaded[name]

    def create_namespace(self, name: str, declared_schema: dict[str, Any] | None = None) -> None:
        """Create an empty namespace. One that existed before goes on counting its log."""
        schema = orjson.dumps(declared_schema) if declared_schema else None
        with transaction(self.db):
            self.db.execute(
                "insert into namespace(name, lsn, live, declared_schema) values(?, 0, 1, ?) "
                "on conflict(name) do update set live=1, declared_schema=excluded.declared_schema",
                (name, schema),
            )
        found = self.db.execute("select key, lsn from namespace where name=?", (name,)).fetchone()
        self._rows[name] = _NamespaceRow(found[0], found[1], True, declared_schema)

    def drop_namespace(self, name: str) -> None:
        """Delete a namespace and its records."""
        row = self._rows[name]
        with transaction(self.db):
            self.db.execute("delete from record where namespace=?", (row.key,))
            self.db.execute("update namespace set live=0, lsn=lsn+1 where key=?", (row.key,))
        self._rows[name] = replace(row, live=False, lsn=row.lsn + 1, declared_schema=None)
        self._loaded.pop(name, None)

    def declared_schema(self, name: str) -> dict[str, Any] | None:
        """Return the filterable fields named when a namespace was created, if any were."""
        return self._rows[name].declared_schema

    def count(self, name: str) -> int:
        """Count the records that fetch readers see in a live namespace."""
        if name not in self._loaded:
            key = self._rows[name].key
            query = "select count(*) from record where namespace=?"
            return int(self.db.execute(query, (key,)).fetchone()[0])
        namespace = self._loaded[name]
        hidden = self.view(namespace, "fetch").hidden
        shown = len(namespace.slot_of) - sum(i in namespace.slot_of for i in hidden)
        return shown + sum(image is not None for image in hidden.values())

    def _load(self, name: str, row: _NamespaceRow) -> Namespace:
        namespace = Namespace(
            name,
            row.key,
            row.lsn,
            dimension=self._dimension,
            metric=self._metric,
            scan=lambda: self._scan(row.key),
        )
        cursor = self.db.execute("select id, dense from record where namespace=?", (row.key,))
        while rows := cursor.fetchmany(_LOAD_ROWS):
            vectors = None
            if self._dimension:
                joined = b"".join(dense for _, dense in rows)
                vectors = np.frombuffer(joined, np.float32).reshape(-1, self._dimension)
            namespace.load([record_id for record_id, _ in rows], vectors)
        return namespace

    def _scan(self, key: int) -> Iterator[Record]:
        rows = self.db.execute("select id, fields, sparse from record where namespace=?", (key,))
        for record_id, fields, sparse in rows:
            yield decode_record(record_id, fields, None, sparse)

    # -- records ---------------------------------------------------------------------------

    def view(self, namespace: Namespace, kind: ReadKind) -> View:
        """Return what a kind of reader sees now."""
        view = namespace.fetch_view if kind == "fetch" else namespace.search_view
        view.settle(time.monotonic())
        return view

    def read(self, namespace: Namespace, record_id: str) -> Record | None:
        """Read a committed record; None when there is none."""
        row = self.db.execute(
            "select fields, dense, sparse from record where namespace=? and id=?",
            (namespace.key, record_id),
        ).fetchone()
        return None if row is None else decode_record(record_id, *row)

    def ids_after(self, namespace: Namespace, prefix: str, after: str, limit: int) -> list[str]:
        """Return the first committed ids in order that start with a prefix and follow an id."""
        rows = self.db.execute(
            "select id from record where namespace=? and id>? and id>=? and id<? "
            "order by id limit ?",
            # Ids are ASCII, so the first character beyond it closes the range of a prefix.
            (namespace.key, after, prefix, prefix + "\x80", limit),
        )
        return [row[0] for row in rows]

    def write(self, name: str, changes: Mapping[str, Record | None]) -> int:
        """Commit changes to a namespace, creating it in the same commit when it does not exist.

        Args:
            name: The namespace.
            changes: Record id -> its new content, or None to delete it.

        Returns:
            The log position of this write, on disk when this returns.
        """
        if self.namespace(name) is not None:
            return self._write(name, changes)
        former = self._rows.get(name)
        try:
            with transaction(self.db):
                self.create_namespace(name)
                return self._write(name, changes)
        except BaseException:
            self._loaded.pop(name, None)
            self._rows.pop(name, None)
            if former is not None:
                self._rows[name] = former
            raise

    def _write(self, name: str, changes: Mapping[str, Record | None]) -> int:
        namespace = self.namespace(name)
        assert namespace is not None, "the caller has seen to it"
        delays = {kind: self._delay(kind) for kind in _READ_KINDS}
        before: dict[str, Record | None] = {}
        if any(self.view(namespace, k).needs_before_images(s) for k, s in delays.items()):
            before = {record_id: self.read(namespace, record_id) for record_id in changes}
        lsn = namespace.lsn + 1
        self._commit(namespace, lsn, changes)
        namespace.lsn = lsn
        self._rows[name] = replace(self._rows[name], lsn=lsn)
        for record_id, record in changes.items():
            if record is None:
                namespace.remove(record_id)
            else:
                namespace.put(record)
        now = time.monotonic()
        for kind, seconds in delays.items():
            self.view(namespace, kind).wrote(lsn, before, now + seconds, now)
        return lsn

    def _commit(self, namespace: Namespace, lsn: int, changes: Mapping[str, Record | None]) -> None:
        puts = [
            encode_record(namespace.key, record)
            for record in changes.values()
            if record is not None
        ]
        gone = [(namespace.key, i) for i, record in changes.items() if record is None]
        with transaction(self.db):
            self.db.executemany("insert or replace into record values(?,?,?,?,?)", puts)
            self.db.executemany("delete from record where namespace=? and id=?", gone)
            self.db.execute("update namespace set lsn=? where key=?", (lsn, namespace.key))

    # -- aliases ---------------------------------------------------------------------------

    def save_alias(self, alias: Alias) -> None:
        """Create or repoint an alias; readers follow it from the moment this returns."""
        values = (alias.name, alias.target, alias.created_at, alias.updated_at)
        with transaction(self.db):
            self.db.execute("insert or replace into alias values(?,?,?,?)", values)
        self.aliases[alias.name] = alias

    def delete_alias(self, name: str) -> None:
        """Delete an alias; its target stays."""
        with transaction(self.db):
            self.db.execute("delete from alias where name=?", (name,))
        del self.aliases[name]
