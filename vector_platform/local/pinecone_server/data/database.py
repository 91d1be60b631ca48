"""SQLite for one index: tables, connections, transactions, and how a record is written in a row.

Belongs here: everything that knows SQL types and pragmas.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import orjson

from .records import Record

SCHEMA = """
create table if not exists namespace(
  key integer primary key, name text not null unique, lsn integer not null,
  live integer not null, declared_schema blob);
create table if not exists record(
  namespace integer not null, id text not null, fields blob not null, dense blob, sparse blob,
  primary key(namespace, id));
create table if not exists alias(
  name text primary key, target text not null, created_at text not null,
  updated_at text not null);
create table if not exists import_job(id integer primary key autoincrement, body blob not null);
"""


def connect(path: Path, *, wait_seconds: float = 5.0) -> sqlite3.Connection:
    """Open a SQLite file for durable writes from any thread (callers bring a lock).

    Args:
        path: The file; created when absent.
        wait_seconds: How long to wait for another process that holds it.
    """
    connection = sqlite3.connect(
        path, timeout=wait_seconds, check_same_thread=False, isolation_level=None
    )
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    return connection


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block did, or none of it; inside another transaction, as a part of that."""
    inside_another = database.in_transaction
    if inside_another:
        yield
        return
    database.execute("begin immediate")
    try:
        yield
        database.execute("commit")
    except BaseException:
        # SQLite has rolled back by itself after some failures, such as a full disk.
        if database.in_transaction:
            database.execute("rollback")
        raise


def encode_record(key: int, record: Record) -> tuple[int, str, bytes, bytes | None, bytes | None]:
    """Return a record as a row of the table `record`."""
    return (
        key,
        record.id,
        orjson.dumps(record.fields),
        None if record.dense is None else record.dense.tobytes(),
        None if record.sparse is None else orjson.dumps(record.sparse),
    )


def decode_record(
    record_id: str, fields: bytes, dense: bytes | None, sparse: bytes | None
) -> Record:
    """Return a record from the columns of its row; columns that were not read are None."""
    return Record(
        record_id,
        orjson.loads(fields),
        None if dense is None else np.frombuffer(dense, np.float32),
        None if sparse is None else orjson.loads(sparse),
    )
