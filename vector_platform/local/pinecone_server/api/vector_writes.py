"""The classic vectors API, writes: upsert, update, delete.

Belongs here: the request and response shapes of `/vectors/*` that write.
"""

from __future__ import annotations

from typing import Any

from ..call import Call, Reply
from ..data.catalog import Catalog, Index
from ..data.filters import Filter
from ..data.naming import write_target
from ..data.records import Record
from ..data.schema import Schema
from ..data.search import Reader
from ..errors import RequestRefusedError, invalid
from ..limits import (
    MAX_RECORDS_PER_UPSERT,
    check_dense,
    check_id,
    check_ids,
    check_metadata,
    check_sparse,
)
from .vectors import (
    classic_index,
    metadata_filter,
    named,
    refuse_sparse,
)

LSN_COMMITTED = "x-pinecone-lsn-committed"


def upsert(catalog: Catalog, call: Call) -> Reply:
    """Serve `POST /vectors/upsert`; the last of several vectors with one id wins."""
    index = classic_index(catalog, call, use="upsert")
    vectors = call.body.get("vectors")
    if not isinstance(vectors, list) or not 1 <= len(vectors) <= MAX_RECORDS_PER_UPSERT:
        count = len(vectors) if isinstance(vectors, list) else 0
        raise invalid(
            f"The number of vectors per upsert request must be between 1 and "
            f"{MAX_RECORDS_PER_UPSERT}, got {count}"
        )
    records = (vector_to_record(index.schema, vector) for vector in vectors)
    changes: dict[str, Record | None] = {record.id: record for record in records}
    with index.store.session():
        name = write_target(
            index.store, named(call.body.get("namespace")), "upsert", documents=False
        )
        lsn = index.store.write(name, changes)
    return Reply({"upsertedCount": len(vectors)}, headers={LSN_COMMITTED: str(lsn)})


def update(catalog: Catalog, call: Call) -> Reply:
    """Serve `POST /vectors/update`: one record by id, or metadata of many by filter."""
    index = classic_index(catalog, call, use="update")
    body, store = call.body, index.store
    condition = metadata_filter(
        body.get("filter"), empty="Update with empty metadata filter is not allowed"
    )
    if (condition is None) == (body.get("id") is None):
        raise invalid("Provide exactly one of 'id' and 'filter' in an update request")
    if condition is not None and (body.get("values") or body.get("sparseValues")):
        raise invalid("An update by filter changes metadata only")
    with store.session():
        name = write_target(store, named(body.get("namespace")), "update", documents=False)
        namespace = store.namespace(name)
        ids = (
            [check_id(body["id"], "id")] if condition is None else _matching(index, name, condition)
        )
        found = [store.read(namespace, i) for i in ids] if namespace else []
        changes = {r.id: _updated(index.schema, r, body) for r in found if r is not None}
        answer = {} if condition is None else {"matchedRecords": len(changes)}
        if namespace is None or (body.get("dryRun") and condition is not None):
            return Reply(answer)
        lsn = store.write(name, changes)
    return Reply(answer, headers={LSN_COMMITTED: str(lsn)})


def delete(catalog: Catalog, call: Call) -> Reply:
    """Serve `POST /vectors/delete`: by ids, by filter, or everything in a namespace."""
    index = classic_index(catalog, call, use="delete")
    body, store = call.body, index.store
    condition = metadata_filter(
        body.get("filter"), empty="Delete with empty metadata filter is not allowed"
    )
    everything = bool(body.get("deleteAll"))
    if sum((condition is not None, everything, bool(body.get("ids")))) != 1:
        raise invalid("Provide exactly one of 'ids', 'filter' and 'deleteAll' in a delete request")
    ids = check_ids(body["ids"]) if body.get("ids") else None
    with store.session():
        name = write_target(store, named(body.get("namespace")), "delete", documents=False)
        if store.namespace(name) is None:
            if everything:
                raise RequestRefusedError(404, "Namespace not found")
            return Reply({})
        doomed = _matching(index, name, condition) if ids is None else ids
        lsn = store.write(name, dict.fromkeys(doomed))
    return Reply({}, headers={LSN_COMMITTED: str(lsn)})


def vector_to_record(schema: Schema, raw: Any) -> Record:
    """Turn a vector of an upsert into a record.

    Raises:
        RequestRefusedError: 400 that names what is wrong.
    """
    if not isinstance(raw, dict):
        raise invalid("Each vector must be an object")
    record_id = check_id(raw.get("id"), "Vector ID")
    metadata = raw.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise invalid(f"Vector '{record_id}': metadata must be an object")
    fields = check_metadata(metadata, documents=False)
    has_values, has_sparse = bool(raw.get("values")), bool(raw.get("sparseValues"))
    if bool(schema.dense_field) != has_values:
        raise invalid(
            f"Vector '{record_id}': Vector dimension {len(raw.get('values') or [])} does not match "
            f"the dimension of the index {schema.dimension}"
        )
    if not has_values and not has_sparse:
        raise invalid(f"Vector '{record_id}' must carry sparse values")
    if has_sparse:
        refuse_sparse(schema)
    return Record(
        record_id,
        fields,
        check_dense(raw["values"], schema.dimension, "values") if has_values else None,
        check_sparse(raw["sparseValues"], "sparseValues") if has_sparse else None,
    )


def _updated(schema: Schema, old: Record, body: dict[str, Any]) -> Record:
    changes = body.get("setMetadata") or {}
    if not isinstance(changes, dict):
        raise invalid("'setMetadata' must be an object")
    fields = check_metadata(old.fields | check_metadata(changes, documents=False), documents=False)
    dense, sparse = old.dense, old.sparse
    if body.get("values"):
        if not schema.dense_field:
            raise invalid("A sparse index takes 'sparseValues' only")
        dense = check_dense(body["values"], schema.dimension, "values")
    if body.get("sparseValues"):
        refuse_sparse(schema)
        sparse = check_sparse(body["sparseValues"], "sparseValues")
    return Record(old.id, fields, dense, sparse)


def _matching(index: Index, name: str, condition: Filter | None) -> list[str]:
    """Return what a write by filter applies to: the committed truth, not what readers see."""
    namespace = index.store.namespace(name)
    if namespace is None:
        return []
    return Reader(index.store, namespace, {}, namespace.lsn).matching_ids(condition)
