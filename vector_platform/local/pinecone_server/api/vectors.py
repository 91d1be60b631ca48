"""The classic vectors API, reads: query, fetch, fetch by metadata, list.

Belongs here: the request and response shapes of `/query` and `/vectors/*` that read.

This API is camelCase, calls the default namespace "", and serves indexes without a document
schema only.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ..call import Call, Reply, decode_token, paged
from ..data.catalog import Catalog, Index
from ..data.filters import Filter, parse_filter
from ..data.naming import DEFAULT_NAMESPACE, read_target
from ..data.records import DenseVector, Record, SparseVector
from ..data.schema import Schema
from ..data.search import Hit, Reader
from ..errors import RequestRefusedError, invalid
from ..limits import (
    MAX_FETCH_LIMIT,
    MAX_LIST_LIMIT,
    MAX_TOP_K,
    check_dense,
    check_id,
    check_ids,
    check_int,
    check_sparse,
    query_int,
)

LSN_RECONCILED = "x-pinecone-lsn-reconciled"
_USAGE = {"readUnits": 1}


def classic_index(catalog: Catalog, call: Call, *, use: str) -> Index:
    """Return the index, or refuse because it takes documents; `use` names the other route."""
    index = catalog.get(call.path["index"])
    if index.schema.has_documents:
        raise invalid(
            "This index has a document schema, so its records go through the documents API. Use "
            f"POST /namespaces/{{namespace}}/documents/{use}."
        )
    return index


def named(value: Any) -> str:
    """Return the namespace a request names; absent and empty mean the default one."""
    return check_id(value, "namespace") if value else DEFAULT_NAMESPACE


def metadata_filter(raw: Any, *, empty: str) -> Filter | None:
    """Parse an optional filter; `empty` is the message for one without conditions."""
    if raw == {}:
        raise invalid(empty)
    return None if raw is None else parse_filter(raw)


def refuse_sparse(schema: Schema) -> None:
    """Refuse sparse values where the index cannot add them to its scores."""
    if schema.dense_field and schema.metric != "dotproduct":
        raise invalid(
            "Index configuration does not support sparse values - only indexes that are sparse or "
            "using dotproduct are supported"
        )


def query(catalog: Catalog, call: Call) -> Reply:
    """Serve `POST /query`: by vector, by sparse vector, by both, or by a stored record."""
    body = call.body
    index = classic_index(catalog, call, use="search")
    k = check_int(body.get("topK"), "topK", 1, MAX_TOP_K)
    # The service takes an empty filter of a query as none.
    condition = parse_filter(body["filter"]) if body.get("filter") else None
    dense, sparse = _query_vectors(index.schema, body)
    values, metadata = bool(body.get("includeValues")), bool(body.get("includeMetadata"))
    with index.store.session():
        name = read_target(index.store, named(body.get("namespace")))
        reader = Reader.open(index.store, name, "search")
        if reader is not None and body.get("id"):
            stored = reader.record(body["id"])
            dense, sparse = (stored.dense, stored.sparse) if stored else (None, None)
        matches = []
        for hit in _hits(reader, dense, sparse, k, condition) if reader else []:
            record = reader.record(hit.id) if reader and (values or metadata) else None
            shown = vector(record or Record(hit.id, {}), values=values, metadata=metadata)
            matches.append(shown | {"score": hit.score})
    lsn = reader.lsn if reader else 0
    answer = {"matches": matches, "namespace": _shown_name(name), "usage": _USAGE}
    return Reply(answer, headers={LSN_RECONCILED: str(lsn)})


def fetch(catalog: Catalog, call: Call) -> Reply:
    """Serve `GET /vectors/fetch`."""
    index = classic_index(catalog, call, use="fetch")
    ids = check_ids(list(call.query.get("ids", ())))
    with index.store.session():
        name = read_target(index.store, named(call.argument("namespace")))
        found = _records(Reader.open(index.store, name, "fetch"), ids)
    return Reply({"vectors": found, "namespace": _shown_name(name), "usage": _USAGE})


def fetch_by_metadata(catalog: Catalog, call: Call) -> Reply:
    """Serve `POST /vectors/fetch_by_metadata`, page by page in the order of ids."""
    body = call.body
    index = classic_index(catalog, call, use="fetch")
    empty = "Empty filter provided for fetch by metadata request"
    condition = metadata_filter(body.get("filter") or {}, empty=empty)
    limit = check_int(body.get("limit") or 100, "limit", 1, MAX_FETCH_LIMIT)
    after = decode_token(body.get("paginationToken"))
    with index.store.session():
        name = read_target(index.store, named(body.get("namespace")))
        reader = Reader.open(index.store, name, "fetch")
        ids = reader.matching_ids(condition) if reader else []
        page, more = paged(sorted(i for i in ids if i > after)[: limit + 1], limit)
        found = _records(reader, page)
    return Reply({"vectors": found, "namespace": _shown_name(name), "usage": _USAGE} | more)


def list_ids(catalog: Catalog, call: Call) -> Reply:
    """Serve `GET /vectors/list`."""
    index = classic_index(catalog, call, use="list")
    limit = query_int(call.argument("limit"), "limit", MAX_LIST_LIMIT, 1, MAX_LIST_LIMIT)
    prefix, after = call.argument("prefix") or "", decode_token(call.argument("paginationToken"))
    with index.store.session():
        name = read_target(index.store, named(call.argument("namespace")))
        reader = Reader.open(index.store, name, "fetch")
        ids, more = paged(reader.page_of_ids(prefix, after, limit + 1) if reader else [], limit)
    listed = [{"id": i} for i in ids]
    return Reply({"vectors": listed, "namespace": _shown_name(name), "usage": _USAGE} | more)


def vector(record: Record, *, values: bool = True, metadata: bool = True) -> dict[str, Any]:
    """Show a record as a classic vector."""
    dense = record.dense if values else None
    shown: dict[str, Any] = {"id": record.id, "values": [] if dense is None else dense}
    if values and record.sparse is not None:
        shown["sparseValues"] = record.sparse
    if metadata and record.fields:
        shown["metadata"] = record.fields
    return shown


def _query_vectors(
    schema: Schema, body: dict[str, Any]
) -> tuple[DenseVector | None, SparseVector | None]:
    """Check what a query searches for; a query by id is resolved by the caller."""
    has_dense, has_sparse = bool(body.get("vector")), bool(body.get("sparseVector"))
    if body.get("id"):
        if has_dense or has_sparse:
            raise invalid("Cannot provide both 'id' and a vector in a query")
        check_id(body["id"], "id")
        return None, None
    if not has_dense and not has_sparse:
        raise invalid("A query needs 'vector', 'sparseVector' or 'id'")
    if has_dense and not schema.dense_field:
        raise RequestRefusedError(400, "Sparse indexes are queried with 'sparseVector' only")
    if has_sparse:
        refuse_sparse(schema)
        if schema.dense_field and not has_dense:
            raise invalid("A dense index is queried with 'vector', 'sparseVector' may be added")
    return (
        check_dense(body["vector"], schema.dimension, "vector", query=True) if has_dense else None,
        check_sparse(body["sparseVector"], "sparseVector") if has_sparse else None,
    )


def _hits(
    reader: Reader,
    dense: DenseVector | None,
    sparse: SparseVector | None,
    k: int,
    condition: Filter | None,
) -> list[Hit]:
    weights: dict[Hashable, float] | None = None
    if sparse is not None:
        weights = dict(zip(sparse["indices"], sparse["values"], strict=True))
    if dense is not None:
        return reader.dense_hits(dense, k, condition, weights)
    return reader.sparse_hits(weights, k, condition) if weights else []


def _records(reader: Reader | None, ids: list[str]) -> dict[str, Any]:
    if reader is None:
        return {}
    found = (reader.record(record_id) for record_id in ids)
    return {record.id: vector(record) for record in found if record is not None}


def _shown_name(name: str) -> str:
    return "" if name == DEFAULT_NAMESPACE else name
