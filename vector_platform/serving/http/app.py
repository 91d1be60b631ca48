"""The application: endpoints, each a few lines from a request to the searcher and back.

Belongs here: paths and what they do. Whose rows a request may see, `access.py` decides; that is
asked in every endpoint and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Path, Query, Request
from starlette.responses import Response

from vector_platform import __version__
from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.contract import Scope
from vector_platform.releases.pointer.live import NothingLive
from vector_platform.serving.answers import Answer, BadQuery
from vector_platform.serving.http import vector_stores
from vector_platform.serving.http.access import Access, NobodyIsKnown
from vector_platform.serving.http.bodies import (
    BatchBody,
    ContextBody,
    Question,
    SearchBody,
    TenantsQuery,
)
from vector_platform.serving.http.errors import (
    ErrorBody,
    add_handlers,
    as_response,
    refusal_of,
)
from vector_platform.serving.http.guards import Guards, StrictRoute
from vector_platform.serving.searcher import Searcher

_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": ErrorBody, "description": "The request is wrong; `param` names the field."},
    404: {"model": ErrorBody, "description": "No such tenant or document."},
    503: {"model": ErrorBody, "description": "Nothing is live, or the backend does not answer."},
}


def create_app(searcher: Searcher, access: Access | None = None) -> FastAPI:
    """The service over a searcher.

    Args:
        searcher: Who answers.
        access: Whose rows a request may see; without one, whose it names.
    """
    app = FastAPI(
        title="vector_platform",
        version=__version__,
        description="Search over the live generations. `docs/serving.md` shows every endpoint.",
        responses=_ERRORS,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
    )
    app.add_middleware(Guards)
    add_handlers(app)
    allowed = access or NobodyIsKnown()
    app.include_router(_questions(searcher, allowed))
    app.include_router(vector_stores.routes(searcher, allowed))
    app.include_router(_health(searcher))
    return app


def _questions(searcher: Searcher, access: Access) -> APIRouter:
    router = APIRouter(prefix="/v1", route_class=StrictRoute)

    @router.post("/search")
    async def search(request: Request, body: SearchBody) -> Response:
        """The k passages most similar to a text, a vector or a document."""
        scope = access.scope_of(request, "search", body.tenants)
        answer = await searcher.in_thread(_ask, searcher, body, scope, body.backend)
        return as_response(answer.as_json(include=body.include))

    @router.post("/search/batch")
    async def batch(request: Request, body: BatchBody) -> Response:
        """Several questions, answered one after another; all of them, or an error."""
        scope = access.scope_of(request, "search", body.tenants)

        def ask_all() -> list[Answer]:
            return [
                _ask(searcher, query, scope, body.backend, place=f"queries[{place}].")
                for place, query in enumerate(body.queries)
            ]

        answers = await searcher.in_thread(ask_all)
        told = [answer.as_json(include=body.include) for answer in answers]
        return as_response({"answers": told})

    @router.get("/documents/{doc_id:path}")
    async def document(
        request: Request,
        doc_id: Annotated[str, Path(description="Percent-encoded, as `s:%2525` for `s:%25`.")],
        asked: Annotated[TenantsQuery, Query()],
    ) -> Response:
        """A document with its lineage: source row, chunks, models, indexes that hold it."""
        scope = access.scope_of(request, "read", asked.tenants)
        found = await searcher.in_thread(searcher.document, doc_id, scope=scope)
        return as_response(found.as_json())

    @router.post("/context")
    async def context(request: Request, body: ContextBody) -> Response:
        """Passages to answer from, joined by document within a budget, with citations."""
        scope = access.scope_of(request, "search", body.tenants)
        found = await searcher.in_thread(
            searcher.context,
            body.text,
            scope=scope,
            budget_tokens=body.budget_tokens,
            k=body.k,
            filter=body.filter,
            backend=body.backend,
        )
        return as_response(found.as_json())

    return router


def _ask(
    searcher: Searcher, query: Question, scope: Scope, backend: str | None, *, place: str = ""
) -> Answer:
    try:
        return searcher.search(
            query.text,
            vector=query.vector,
            like=query.like,
            scope=scope,
            k=query.k,
            filter=query.filter,
            backend=backend,
        )
    except BadQuery as error:
        if place and error.param not in ("tenants", "backend"):
            error.param = place + error.param
        raise


def _health(searcher: Searcher) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> Response:
        """Whether the process answers."""
        return as_response({"status": "ok"})

    @router.get("/ready")
    async def ready() -> Response:
        """Whether questions can be answered: what is live on each backend, and how old that is."""
        live: dict[str, Any] = {}
        problem: VectorPlatformError | None = None
        for backend in searcher.backends:
            try:
                state = await searcher.in_thread(searcher.live.of, backend)
            except NothingLive as error:
                live[backend], problem = None, error
            except VectorPlatformError as error:
                return refusal_of(error)
            else:
                live[backend] = {
                    "generation": state.generation,
                    "model_version": state.model_version,
                    "snapshot": str(state.snapshot),
                    "doubt": searcher.live.doubt(state),
                }
        if problem is not None and not any(live.values()):
            return refusal_of(problem)
        age = round(searcher.live.age_seconds, 3)
        return as_response({"status": "ready", "age_seconds": age, "live": live})

    return router
