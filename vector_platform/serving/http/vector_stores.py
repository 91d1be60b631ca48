"""The same answers in the shape of OpenAI's vector stores, for clients that speak it.

Belongs here: the shape. A vector store is the index, a file is a document. All of it is read only:
an index is a consumer of the lake, and nothing reaches it another way.

The clients know no tenants. They name theirs in the query of every request
(`OpenAI(default_query={"tenants": "acme"})`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from vector_platform.indexes.contract import Hit, Scope
from vector_platform.serving.answers import Answer, BadQuery
from vector_platform.serving.http.access import Access
from vector_platform.serving.http.bodies import Finite, Strict, TenantsQuery
from vector_platform.serving.http.errors import Refused, as_response
from vector_platform.serving.http.guards import StrictRoute
from vector_platform.serving.searcher import Searcher

MAX_RESULTS: Final = 50
MAX_QUERIES: Final = 10
# What the clients' type of attributes holds.
MAX_ATTRIBUTES: Final = 16
READ_ONLY: Final = (
    "this index is read only: it follows the lake, so a document is changed in its source, and "
    "`vector-platform run` brings it here"
)


class Ranking(Strict):
    """How results are ranked and cut off."""

    ranker: Literal["none", "auto", "default-2024-11-15"] | None = None
    score_threshold: Finite | None = Field(None, description="Least cosine similarity of a result.")


class StoreSearch(Strict):
    """A search as OpenAI's clients ask it."""

    query: str | list[str] = Field(description="A text, or several whose results are joined.")
    max_num_results: int | None = Field(10, ge=1, le=MAX_RESULTS)
    filters: dict[str, Any] | None = None
    ranking_options: Ranking | None = None
    rewrite_query: Literal[False] | None = Field(None, description="Nothing rewrites queries here.")


class FilesQuery(TenantsQuery):
    """A page of documents."""

    limit: int = Field(20, ge=1, le=100)
    after: str | None = None
    order: Literal["asc"] | None = Field(None, description="Documents come by their ids.")
    filter: Literal["completed"] | None = None


Asked = Annotated[TenantsQuery, Query()]


def routes(searcher: Searcher, access: Access) -> APIRouter:
    """The endpoints below `/v1/vector_stores`."""
    router = APIRouter(prefix="/v1/vector_stores", route_class=StrictRoute)

    @router.get("")
    async def stores(request: Request, asked: Asked) -> Response:
        """The one store there is."""
        one = await searcher.in_thread(
            _store, searcher, access.scope_of(request, "read", asked.tenants)
        )
        return as_response(
            {"object": "list", "data": [one], "first_id": one["id"], "last_id": one["id"],
             "has_more": False}
        )  # fmt: skip

    @router.get("/{store}")
    async def retrieve(request: Request, store: str, asked: Asked) -> Response:
        """A store."""
        _require(searcher, store)
        scope = access.scope_of(request, "read", asked.tenants)
        return as_response(await searcher.in_thread(_store, searcher, scope))

    @router.post("/{store}/search")
    async def search(request: Request, store: str, asked: Asked, body: StoreSearch) -> Response:
        """Search a store."""
        _require(searcher, store)
        scope = access.scope_of(request, "search", asked.tenants)
        return as_response(await searcher.in_thread(_search, searcher, scope, body))

    @router.get("/{store}/files")
    async def files(
        request: Request, store: str, asked: Annotated[FilesQuery, Query()]
    ) -> Response:
        """Documents by their ids."""
        _require(searcher, store)
        scope = access.scope_of(request, "read", asked.tenants)
        rows, more = await searcher.in_thread(
            searcher.documents.page, scope=scope, after=asked.after, most=asked.limit
        )
        data = [_file(searcher, row) for row in rows]
        return as_response(
            {"object": "list", "data": data, "has_more": more,
             "first_id": data[0]["id"] if data else None,
             "last_id": data[-1]["id"] if data else None}
        )  # fmt: skip

    @router.get("/{store}/files/{file_id:path}/content")
    async def content(request: Request, store: str, file_id: str, asked: Asked) -> Response:
        """The text of a document."""
        row = await _row(request, store, file_id, asked)
        data = [{"type": "text", "text": row["body"]}]
        return as_response(
            {"object": "vector_store.file_content.page", "data": data, "has_more": False,
             "next_page": None}
        )  # fmt: skip

    @router.get("/{store}/files/{file_id:path}")
    async def file(request: Request, store: str, file_id: str, asked: Asked) -> Response:
        """A document."""
        return as_response(_file(searcher, await _row(request, store, file_id, asked)))

    async def _row(
        request: Request, store: str, file_id: str, asked: TenantsQuery
    ) -> dict[str, Any]:
        _require(searcher, store)
        scope = access.scope_of(request, "read", asked.tenants)
        return await searcher.in_thread(searcher.documents.text, file_id, scope=scope)

    @router.api_route("", methods=["POST"], include_in_schema=False)
    @router.api_route(
        "/{_:path}", methods=["POST", "PUT", "PATCH", "DELETE"], include_in_schema=False
    )
    async def write() -> Response:
        """What would change a store."""
        raise Refused(405, READ_ONLY, code="read_only", headers={"Allow": "GET"})

    return router


def _require(searcher: Searcher, store: str) -> None:
    if store != searcher.index:
        raise Refused(
            404, f"there is no vector store {store[:80]!r}; there is {searcher.index!r}",
            code="not_found", param="vector_store_id",
        )  # fmt: skip


def _store(searcher: Searcher, scope: Scope) -> dict[str, Any]:
    live = searcher.live.of(searcher.backends[0])
    total = searcher.documents.count(scope=scope)
    counts = {"in_progress": 0, "completed": total, "failed": 0, "cancelled": 0, "total": total}
    return {
        "id": searcher.index,
        "object": "vector_store",
        "name": searcher.index,
        "created_at": int(live.created_at.timestamp()),
        "status": "completed",
        "usage_bytes": 0,
        "file_counts": counts,
        "metadata": {"generation": live.generation, "model_version": live.model_version},
        "expires_after": None,
        "expires_at": None,
        "last_active_at": None,
    }


def _search(searcher: Searcher, scope: Scope, body: StoreSearch) -> dict[str, Any]:
    queries = [body.query] if isinstance(body.query, str) else body.query
    if not 1 <= len(queries) <= MAX_QUERIES:
        raise BadQuery(f"query has 1 to {MAX_QUERIES} texts", param="query")
    most = body.max_num_results or 10
    answers = [_asked(searcher, query, scope, body, most) for query in queries]
    least = body.ranking_options.score_threshold if body.ranking_options else None
    found: dict[tuple[str, str], Hit] = {}
    for hit in sorted(
        (hit for answer in answers for hit in answer.hits), key=lambda one: (-one.score, one.id)
    ):
        if least is None or hit.score >= least:
            found.setdefault((hit.tenant, hit.id), hit)
    return {
        "object": "vector_store.search_results.page",
        "search_query": queries,
        "data": [_result(hit) for hit in list(found.values())[:most]],
        "has_more": False,
        "next_page": None,
        "id": answers[0].id,
        "notice": answers[0].notice,
        **answers[0].source.as_json(),
    }


def _asked(searcher: Searcher, query: str, scope: Scope, body: StoreSearch, most: int) -> Answer:
    try:
        return searcher.search(query, scope=scope, k=most, filter=body.filters)
    except BadQuery as error:
        error.param = {"text": "query", "k": "max_num_results"}.get(error.param, error.param)
        if error.param.startswith("filter"):
            error.param = "filters" + error.param.removeprefix("filter")
        raise


def _result(hit: Hit) -> dict[str, Any]:
    return {
        "file_id": hit.doc_id,
        "filename": hit.title or hit.doc_id,
        "score": hit.score,
        "attributes": _attributes(hit.attributes),
        "content": [{"type": "text", "text": hit.text}],
        "chunk_id": hit.id,
        "tenant": hit.tenant,
    }


def _file(searcher: Searcher, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["doc_id"],
        "object": "vector_store.file",
        "vector_store_id": searcher.index,
        "created_at": int(row["ingested_at"].timestamp()),
        "status": "completed",
        "usage_bytes": len(row["body"].encode()),
        "last_error": None,
        "attributes": _attributes(json.loads(row["attributes"])),
        "filename": row["title"] or row["doc_id"],
    }


def _attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """As the clients' type holds them: 16 at most, lists as text."""
    return {
        name: ", ".join(value) if isinstance(value, list) else value
        for name, value in sorted(attributes.items())[:MAX_ATTRIBUTES]
    }
