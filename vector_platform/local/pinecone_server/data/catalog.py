"""The indexes of this server: which exist, how they are configured, where their data lives.

Belongs here: the durable list of indexes and their open stores.

One process owns a data folder: the catalog's SQLite file is locked for as long as it is open,
so that a second server on the same folder fails at once instead of serving stale memory.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from ..errors import PineconeServerError, RequestRefusedError
from .database import connect
from .schema import Schema, parse_schema
from .store import Delay, IndexStore

CATALOG_FILE = "catalog.sqlite"
_STORE_FILE = "data.sqlite"
#: A server that is stopping lets go of the folder within this time.
_LOCK_WAIT_SECONDS = 1.0


class DataFolderInUseError(PineconeServerError):
    """Another process serves this data folder."""


@dataclass(frozen=True)
class IndexSettings:
    """What an index was created with and what `configure` may change.

    Attributes:
        name: Unique among the server's indexes.
        schema: What it searches.
        deployment: Echoed as given; this server runs everything locally.
        deletion_protection: `enabled` or `disabled`.
        tags: User tags, or None.
        folder: Name of its data folder, unique for ever, so that a deleted index never lends
            its files to a new one of the same name.
    """

    name: str
    schema: Schema
    deployment: dict[str, Any]
    deletion_protection: str
    tags: dict[str, str] | None
    folder: str

    def dump(self) -> bytes:
        """Serialise for the catalog."""
        return orjson.dumps(self.__dict__ | {"schema": self.schema.as_json()})

    @classmethod
    def parse(cls, raw: bytes) -> IndexSettings:
        """Read back what `dump` wrote."""
        values = orjson.loads(raw)
        return cls(**(values | {"schema": parse_schema(values["schema"])}))


@dataclass
class Index:
    """An index that is being served: its settings, which change, and its store."""

    settings: IndexSettings
    store: IndexStore

    @property
    def schema(self) -> Schema:
        """What the index searches."""
        return self.settings.schema


class Catalog:
    """All indexes under one data folder.

    Args:
        root: The data folder; created when absent.
        delay: How long writes stay hidden from readers.

    Raises:
        DataFolderInUseError: Another process holds the folder.
    """

    def __init__(self, root: Path, *, delay: Delay) -> None:
        self._root = root
        self._delay = delay
        self._lock = threading.RLock()
        root.mkdir(parents=True, exist_ok=True)
        self._db = _lock(root)
        self._indexes: dict[str, Index] = {}
        for (body,) in self._db.execute("select body from entry"):
            settings = IndexSettings.parse(body)
            self._indexes[settings.name] = self._open(settings)
        self._sweep()

    def _open(self, settings: IndexSettings) -> Index:
        folder = self._root / settings.folder
        folder.mkdir(exist_ok=True)
        schema = settings.schema
        store = IndexStore(
            folder / _STORE_FILE,
            dimension=schema.dimension,
            metric=schema.metric,
            delay=self._delay,
        )
        return Index(settings, store)

    def _sweep(self) -> None:
        """Remove index folders that a kill left behind between two steps of a deletion."""
        wanted = {index.settings.folder for index in self._indexes.values()}
        for database in self._root.glob(f"index-*/{_STORE_FILE}"):
            if database.parent.name not in wanted:
                shutil.rmtree(database.parent, ignore_errors=True)

    def close(self) -> None:
        """Close every file. Closing twice is allowed."""
        with self._lock:
            for index in self._indexes.values():
                index.store.close()
            self._db.close()

    def indexes(self) -> list[Index]:
        """Return all indexes by name."""
        with self._lock:
            return [self._indexes[name] for name in sorted(self._indexes)]

    def get(self, name: str) -> Index:
        """Return an index, or refuse with 404."""
        index = self._indexes.get(name)
        if index is None:
            raise RequestRefusedError(404, f"Index {name} not found.")
        return index

    def create(
        self,
        name: str,
        schema: Schema,
        *,
        deployment: dict[str, Any],
        deletion_protection: str,
        tags: dict[str, str] | None,
    ) -> Index:
        """Create an index, or refuse with 409 when the name is taken."""
        folder = f"index-{uuid.uuid4().hex}"
        settings = IndexSettings(name, schema, deployment, deletion_protection, tags, folder)
        with self._lock:
            if name in self._indexes:
                raise RequestRefusedError(409, "Resource already exists.")
            self._save(settings)
            self._indexes[name] = self._open(settings)
            return self._indexes[name]

    def configure(
        self, name: str, *, deletion_protection: str | None, tags: dict[str, str] | None
    ) -> Index:
        """Change deletion protection and set tags; a tag set to an empty string is removed."""
        with self._lock:
            index = self.get(name)
            settings = index.settings
            if deletion_protection is not None:
                settings = replace(settings, deletion_protection=deletion_protection)
            if tags is not None:
                settings = replace(settings, tags=merged_tags(settings.tags, tags))
            self._save(settings)
            index.settings = settings
            return index

    def delete(self, name: str) -> None:
        """Delete an index and its data, or refuse while it is protected."""
        with self._lock:
            index = self.get(name)
            if index.settings.deletion_protection == "enabled":
                raise RequestRefusedError(
                    403,
                    "Deletion protection is enabled for this index. Disable deletion protection "
                    "before retrying.",
                )
            self._db.execute("delete from entry where name=?", (name,))
            del self._indexes[name]
        index.store.close()
        shutil.rmtree(self._root / index.settings.folder, ignore_errors=True)

    def _save(self, settings: IndexSettings) -> None:
        self._db.execute(
            "insert or replace into entry values(?, ?)", (settings.name, settings.dump())
        )


def _lock(root: Path) -> sqlite3.Connection:
    """Open the catalog's file and keep every other process out of it until closed."""
    try:
        database = connect(root / CATALOG_FILE, wait_seconds=_LOCK_WAIT_SECONDS)
        database.execute("pragma locking_mode=exclusive")
        database.execute("begin exclusive")
        database.execute("create table if not exists entry(name text primary key, body blob)")
        database.execute("commit")
    except sqlite3.OperationalError as error:
        raise DataFolderInUseError(
            f"{root} is served by another process ({error}); stop it, or choose another folder"
        ) from error
    return database


def merged_tags(old: dict[str, str] | None, new: dict[str, str] | None) -> dict[str, str] | None:
    """Lay new tags over old ones; an empty value removes a tag; None when none are left."""
    tags = {key: value for key, value in ((old or {}) | (new or {})).items() if value != ""}
    return tags or None
