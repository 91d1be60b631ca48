"""The documents API: upsert, search, fetch, update, delete and list.

Belongs here: the request and response shapes of `/namespaces/{namespace}/documents/*`.

Writes are parsed and checked before the index is locked, so that concurrent writers wait for
each other's commits only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..call import (
    LSN_RECONCILED,
    Call,
    Reply,
    committed,
    decode_token,
    paged,
)
from ..data.catalog import Catalog, Index
from ..data.filters import Filter, parse_filter
from ..data.naming import read_target, write_target
from ..data.records import (
    Record,
    document_patch,
    document_to_record,
    patched,
    record_to_document,
)
from ..data.search import Reader
from ..errors import invalid, not_implemented
from ..limits import (
    MAX_FETCH_LIMIT,
    MAX_LIST_LIMIT,
    MAX_NAME_CHARS,
    MAX_RECORDS_PER_UPSERT,
    check_id,
    check_ids,
    check_int,
)
from .document_search import parse_search

_READ_UNITS = {"read_units": 1}


def operation(catalog: Catalog, call: Call) -> Reply:
    """Serve `POST /namespaces/{namespace}/documents/{operation}`."""
    index = catalog.get(call.path["index"])
    if not index.schema.has_documents:
        raise invalid(
            "This index has no document schema; use the vectors API (/vectors/upsert, /query)."
        )
    handler = _OPERATIONS.get(call.path["operation"])
    if handler is None:
        raise not_implemented(f"the documents operation '{call.path['operation']}'")
    return handler(index, check_id(call.path["namespace"], "namespace"), call.body)


def _upsert(index: Index, name: str, body: dict[str, Any]) -> Reply:
    records = {
        record.id: record
        for record in (
            document_to_record(index.schema, document, position)
            for position, document in enumerate(_document_list(body))
        )
    }
    with index.store.session():
        target = write_target(index.store, name, "upsert", documents=True)
        lsn = index.store.write(target, records)
    return committed({"upserted_count": len(records)}, lsn, status=202)


def _update(index: Index, name: str, body: dict[str, Any]) -> Reply:
    if body.get("documents") is not None:
        return _update_by_id(index, name, body)
    patch_fields, remove = body.get("set_fields") or {}, _names(body, "remove_fields")
    if not patch_fields and not remove:
        raise invalid("A by-filter update needs 'set_fields' or 'remove_fields'.")
    condition = _condition(index, body, allow_text=False)
    if condition is None:
        raise invalid("Provide 'documents' or a non-empty 'filter'.")
    patch = document_patch(index.schema, patch_fields | {"_id": "set_fields"}, 0)
    store = index.store
    with store.session():
        target = write_target(store, name, "update", documents=True)
        if (namespace := store.namespace(target)) is None:
            return Reply({"matched_records": 0}, 202)
        found = (store.read(namespace, i) for i in _committed_ids(index, target, condition))
        changes = {
            record.id: patched(index.schema, record, patch, remove)
            for record in found
            if record is not None
        }
        lsn = store.write(target, changes)
    return committed({"matched_records": len(changes)}, lsn, status=202)


def _update_by_id(index: Index, name: str, body: dict[str, Any]) -> Reply:
    if any(body.get(key) for key in ("filter", "set_fields", "remove_fields")):
        raise invalid("'documents' cannot be combined with 'filter' and its patch.")
    documents = _document_list(body)
    patches = [document_patch(index.schema, item, i) for i, item in enumerate(documents)]
    removals = [_names(document, "_remove_fields") for document in documents]
    store = index.store
    with store.session():
        target = write_target(store, name, "update", documents=True)
        if (namespace := store.namespace(target)) is None:
            return Reply({}, 202)
        changes: dict[str, Record | None] = {}
        for patch, remove in zip(patches, removals, strict=True):
            if (old := store.read(namespace, patch.id)) is not None:
                changes[patch.id] = patched(index.schema, old, patch, remove)
        lsn = store.write(target, changes)
    return committed({}, lsn, status=202)


def _delete(index: Index, name: str, body: dict[str, Any]) -> Reply:
    selectors = [key for key in ("ids", "filter", "delete_all") if body.get(key)]
    if len(selectors) != 1:
        raise invalid("Provide exactly one of 'ids', 'filter', or 'delete_all'.")
    ids = check_ids(body["ids"]) if body.get("ids") else None
    condition = _condition(index, body, allow_text=False)
    store = index.store
    with store.session():
        target = write_target(store, name, "delete", documents=True)
        if store.namespace(target) is None:
            return Reply({"matched_records": 0} if condition else {}, 202)
        doomed = _committed_ids(index, target, condition) if ids is None else ids
        lsn = store.write(target, dict.fromkeys(doomed))
    return committed({"matched_records": len(doomed)} if condition else {}, lsn, status=202)


def _search(index: Index, name: str, body: dict[str, Any]) -> Reply:
    search = parse_search(index.schema, body)
    # The service takes an empty filter of a search as none.
    condition = _condition(index, body) if body.get("filter") else None
    include = _names(body, "include_fields")
    with index.store.session():
        target = read_target(index.store, name)
        reader = Reader.open(index.store, target, "search")
        matches = []
        for hit in search.hits(reader, condition) if reader else []:
            record = reader.record(hit.id) if reader and include else Record(hit.id, {})
            assert record is not None, "a hit is a visible record"
            shown = record_to_document(index.schema, record, include, everything_by_default=False)
            matches.append(shown | {"_score": hit.score})
    lsn = reader.lsn if reader else 0
    body = {"matches": matches, "namespace": target, "usage": _READ_UNITS}
    return Reply(body, headers={LSN_RECONCILED: str(lsn)})


def _fetch(index: Index, name: str, body: dict[str, Any]) -> Reply:
    if bool(body.get("ids")) == (body.get("filter") is not None):
        raise invalid("Provide exactly one of 'ids' and 'filter' in a document fetch request.")
    condition = _condition(index, body)
    include = _names(body, "include_fields")
    limit = check_int(body.get("limit") or 100, "limit", 1, MAX_FETCH_LIMIT)
    after = decode_token(body.get("pagination_token"))
    with index.store.session():
        target = read_target(index.store, name)
        reader = Reader.open(index.store, target, "fetch")
        more: dict[str, Any] = {}
        if condition is None:
            ids = check_ids(body["ids"])
        else:
            ids, more = paged(
                reader.matching_page(condition, after, limit + 1) if reader else [], limit
            )
        documents = (
            {
                record.id: record_to_document(
                    index.schema, record, include, everything_by_default=True
                )
                for record in (reader.record(i) for i in ids)
                if record is not None
            }
            if reader
            else {}
        )
    return Reply({"documents": documents, "namespace": target, "usage": _READ_UNITS} | more)


def _list(index: Index, name: str, body: dict[str, Any]) -> Reply:
    prefix = body.get("prefix") or ""
    if not isinstance(prefix, str) or len(prefix) > MAX_NAME_CHARS:
        raise invalid(f"'prefix' must be a string of at most {MAX_NAME_CHARS} characters")
    limit = check_int(body.get("limit") or 100, "limit", 1, MAX_LIST_LIMIT)
    after = decode_token(body.get("pagination_token"))
    with index.store.session():
        target = read_target(index.store, name)
        reader = Reader.open(index.store, target, "fetch")
        ids, more = paged(reader.page_of_ids(prefix, after, limit + 1) if reader else [], limit)
    listed = {"documents": [{"_id": i} for i in ids], "namespace": target, "usage": _READ_UNITS}
    return Reply(listed | more)


def _document_list(body: dict[str, Any]) -> list[Any]:
    documents = body.get("documents")
    if not isinstance(documents, list) or not 1 <= len(documents) <= MAX_RECORDS_PER_UPSERT:
        count = len(documents) if isinstance(documents, list) else 0
        raise invalid(f"'documents' must hold 1 to {MAX_RECORDS_PER_UPSERT} documents, got {count}")
    ids = [document.get("_id") for document in documents if isinstance(document, dict)]
    strings = [i for i in ids if isinstance(i, str)]
    if len(set(strings)) != len(strings):
        raise invalid("Document IDs must be unique within a request")
    return documents


def _names(holder: dict[str, Any], key: str) -> list[str]:
    names = holder.get(key) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid(f"'{key}' must be a list of field names")
    return names


def _condition(index: Index, body: dict[str, Any], *, allow_text: bool = True) -> Filter | None:
    if body.get("filter") is None:
        return None
    return parse_filter(
        body["filter"],
        text_fields=index.schema.text_fields,
        data_fields=index.schema.data_fields,
        allow_text=allow_text,
    )


def _committed_ids(index: Index, name: str, condition: Filter | None) -> list[str]:
    """Return what a write by filter applies to: the committed truth, not what readers see."""
    namespace = index.store.namespace(name)
    assert namespace is not None, "checked by the caller"
    return Reader(index.store, namespace, {}, namespace.lsn).matching_ids(condition)


_OPERATIONS: dict[str, Callable[[Index, str, dict[str, Any]], Reply]] = {
    "upsert": _upsert,
    "update": _update,
    "delete": _delete,
    "search": _search,
    "fetch": _fetch,
    "list": _list,
}
