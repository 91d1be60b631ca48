"""Bulk import from a folder: one subfolder a namespace, read in the background.

Belongs here: the routes of `/bulk/imports`, and the life of an import job.

As in the service, the namespaces must not exist before. A job that a stopped server left
unfinished is reported as failed; what it had written stays, as after any failed import.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import unquote

import orjson

from ..call import Call, Reply, decode_token, paged, timestamp
from ..data.catalog import Catalog, Index
from ..data.database import transaction
from ..data.naming import write_target
from ..data.records import Record
from ..data.store import IndexStore
from ..errors import RequestRefusedError, invalid
from ..limits import check_id, query_int
from .import_files import SourceRecord, files_of, read_file
from .import_source import Folder

_BATCH = 1000
_MAX_LIST = 100
_JOB_ID = re.compile(r"[0-9]{1,18}")
# Above every job's number.
_NO_JOB = 10**18 - 1
_UNFINISHED = ("Pending", "InProgress")
_LOG = logging.getLogger(__name__)


class _CancelledError(Exception):
    """The job was cancelled through the API."""


def collection(catalog: Catalog, call: Call) -> Reply:
    """Serve `/bulk/imports`: list (newest first), start."""
    index = catalog.get(call.path["index"])
    if call.method == "POST":
        return _start(index, call.body)
    limit = query_int(call.argument("limit"), "limit", _MAX_LIST, 1, _MAX_LIST)
    after = decode_token(call.argument("paginationToken")) or str(_NO_JOB)
    if not _JOB_ID.fullmatch(after):
        raise invalid("Invalid pagination token", reason="INVALID_PAGINATION_TOKEN")
    with index.store.session():
        rows = index.store.db.execute(
            "select id from import_job where id<? order by id desc limit ?",
            (int(after), limit + 1),
        )
        page, more = paged([str(row[0]) for row in rows], limit)
        jobs = [_read(index.store, job_id) for job_id in page]
    return Reply({"data": jobs} | more)


def item(catalog: Catalog, call: Call) -> Reply:
    """Serve `/bulk/imports/{id}`: describe, cancel."""
    store = catalog.get(call.path["index"]).store
    with store.session():
        job = _read(store, call.path["id"])
        if call.method == "DELETE" and job["status"] in _UNFINISHED:
            _save(store, job | {"status": "Cancelled", "finishedAt": timestamp()})
        return Reply({} if call.method == "DELETE" else job)


def fail_unfinished(store: IndexStore) -> None:
    """Report the jobs that a stopped server left behind as failed."""
    with store.session():
        for (body,) in store.db.execute("select body from import_job").fetchall():
            job = orjson.loads(body)
            if job["status"] in _UNFINISHED:
                reason = "The server stopped during the import."
                _save(store, job | _failed(reason))


def _start(index: Index, body: dict[str, Any]) -> Reply:
    folder = Folder.parse(body.get("uri"))
    mode = (body.get("errorMode") or {}).get("onError") or "abort"
    if mode not in ("abort", "continue"):
        raise invalid(f"errorMode.onError must be 'abort' or 'continue', got {mode!r}")
    with index.store.session():
        job: dict[str, Any] = {
            "uri": body["uri"],
            "status": "Pending",
            "createdAt": timestamp(),
            "percentComplete": 0.0,
            "recordsImported": 0,
        }
        with transaction(index.store.db):
            cursor = index.store.db.execute("insert into import_job(body) values(?)", (b"",))
            job["id"] = str(cursor.lastrowid)
            _save(index.store, job)
    arguments = (index, folder, job["id"], mode == "continue")
    threading.Thread(target=_run, args=arguments, name="import", daemon=True).start()
    return Reply({"id": job["id"]})


def _run(index: Index, folder: Folder, job_id: str, skip_bad: bool) -> None:
    """Import a folder, and leave the job in a final state whatever happens."""
    try:
        try:
            changes = _import(index, folder, job_id, skip_bad)
        except _CancelledError:
            return
        except RequestRefusedError as error:
            changes = _failed(error.message)
        except OSError as error:
            changes = _failed(f"cannot read {folder.shown}: {error}")
        except Exception as error:
            _LOG.exception("import %s failed", job_id)
            changes = _failed(f"{type(error).__name__}: {error}")
        _update(index.store, job_id, changes)
    except (RequestRefusedError, _CancelledError):
        return  # the index was deleted, or the job cancelled, at the last moment


def _import(index: Index, folder: Folder, job_id: str, skip_bad: bool) -> dict[str, Any]:
    namespaces = folder.folders()
    if not namespaces:
        raise invalid(f"No namespaces found under {folder.shown}: expected one subfolder each")
    files = [(space, path) for space in namespaces for path in files_of(index.schema, space)]
    if not files:
        raise invalid(f"No files to import found under {folder.shown}")
    store, imported = index.store, 0
    names = {space: check_id(unquote(space.name), "namespace") for space in namespaces}
    with store.session():
        for name in names.values():
            write_target(store, name, "upsert", documents=index.schema.has_documents)
            if store.namespace(name) is not None:
                raise invalid(f"Namespace {name} already exists; imports go to new namespaces")
    for done, (space, path) in enumerate(files):
        records = _good(read_file(index.schema, space, path), skip_bad)
        while batch := dict(islice(records, _BATCH)):
            with store.session():
                _update(store, job_id, {"status": "InProgress"})
                store.write(names[space], batch)
                imported += len(batch)
                percent = 100.0 * done / len(files)
                _update(store, job_id, {"recordsImported": imported, "percentComplete": percent})
    final = {"status": "Completed", "percentComplete": 100.0, "recordsImported": imported}
    return final | {"finishedAt": timestamp()}


def _good(records: Iterable[SourceRecord], skip_bad: bool) -> Iterator[tuple[str, Record]]:
    for source in records:
        try:
            record = source.parse()
        except RequestRefusedError as error:
            if skip_bad:
                continue
            raise invalid(f"{source.place}: {error.message}") from error
        yield record.id, record


def _failed(reason: str) -> dict[str, Any]:
    return {"status": "Failed", "error": reason, "finishedAt": timestamp()}


def _update(store: IndexStore, job_id: str, changes: dict[str, Any]) -> None:
    with store.session():
        job = _read(store, job_id)
        if job["status"] == "Cancelled":
            raise _CancelledError
        _save(store, job | changes)


def _read(store: IndexStore, job_id: str) -> dict[str, Any]:
    row = None
    if _JOB_ID.fullmatch(job_id):
        row = store.db.execute("select body from import_job where id=?", (int(job_id),)).fetchone()
    if row is None:
        raise RequestRefusedError(404, f"Import {job_id} not found")
    job: dict[str, Any] = orjson.loads(row[0])
    return job


def _save(store: IndexStore, job: dict[str, Any]) -> None:
    values = (orjson.dumps(job), int(job["id"]))
    store.db.execute("update import_job set body=? where id=?", values)
