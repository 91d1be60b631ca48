"""The web application: routes, and what happens to every request on its way to a handler.

Belongs here: authentication, injected faults, rate limits, errors.

Handlers run on worker threads, since they parse, scan and wait for the disk. The host of an
index is a path of this server, `/i/{index}`, which the SDK takes as it takes any host.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..api import (
    aliases,
    control,
    documents,
    imports,
    namespaces,
    vector_writes,
    vectors,
)
from ..call import Call, Reply
from ..data.catalog import Catalog
from ..data.naming import DEFAULT_NAMESPACE
from ..errors import RequestRefusedError, not_implemented
from ..limits import check_body_size
from .knobs import Fault, Knobs, Stage
from .torn import TornResponse
from .wire import decode, refuse, respond

Handler = Callable[[Catalog, Call], Reply]

HEALTH_PATH = "/_local/health"
KNOBS_PATH = "/_local/knobs"
_INDEX = "/i/{index}"
_LOG = logging.getLogger(__name__)


class _Name(StringConvertor):
    """A name as a part of the path: any character, slashes and line breaks too."""

    regex = "(?s:.*)"


register_url_convertor("name", _Name())

_ROUTES: tuple[tuple[str, Handler, tuple[str, ...]], ...] = (
    ("/indexes", control.collection, ("GET", "POST")),
    ("/indexes/{name}", control.item, ("GET", "PATCH", "DELETE")),
    (_INDEX + "/namespaces/{namespace:name}/documents/{operation}", documents.operation, ("POST",)),
    (_INDEX + "/query", vectors.query, ("POST",)),
    (_INDEX + "/vectors/upsert", vector_writes.upsert, ("POST",)),
    (_INDEX + "/vectors/update", vector_writes.update, ("POST",)),
    (_INDEX + "/vectors/delete", vector_writes.delete, ("POST",)),
    (_INDEX + "/vectors/fetch", vectors.fetch, ("GET",)),
    (_INDEX + "/vectors/fetch_by_metadata", vectors.fetch_by_metadata, ("POST",)),
    (_INDEX + "/vectors/list", vectors.list_ids, ("GET",)),
    (_INDEX + "/bulk/imports", imports.collection, ("GET", "POST")),
    (_INDEX + "/bulk/imports/{id}", imports.item, ("GET", "DELETE")),
    (_INDEX + "/describe_index_stats", namespaces.statistics, ("POST",)),
    (_INDEX + "/namespaces", namespaces.collection, ("GET", "POST")),
    (_INDEX + "/namespaces/{namespace:name}", namespaces.item, ("GET", "DELETE")),
    (_INDEX + "/namespace-aliases", aliases.collection, ("GET", "POST")),
    (_INDEX + "/namespace-aliases/{alias:name}", aliases.item, ("GET", "PATCH", "DELETE")),
)


#: Rate-limited routes of the vectors API; the documents API names its operation in the path.
_LIMITED: dict[Handler, str] = {
    vectors.query: "query",
    vectors.fetch: "fetch",
    vectors.fetch_by_metadata: "fetch",
    vectors.list_ids: "list",
    vector_writes.upsert: "upsert",
    vector_writes.update: "update",
    vector_writes.delete: "delete",
}


def create_app(catalog: Catalog, knobs: Knobs, *, api_key: str | None) -> Starlette:
    """Build the application.

    Args:
        catalog: The indexes to serve; closed when the application shuts down.
        knobs: Delays, limits and faults, all off unless turned.
        api_key: The only key accepted; None accepts any key that is not empty.
    """
    service = _Service(catalog, knobs, api_key)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        catalog.close()

    def route(path: str, handler: Handler, methods: tuple[str, ...]) -> Route:
        async def endpoint(request: Request) -> Response:
            return await service.serve(handler, request)

        return Route(path, endpoint, methods=list(methods))

    async def health(_: Request) -> Response:
        return respond(Reply({"status": "ready", "pid": os.getpid()}))

    routes = [
        Route(HEALTH_PATH, health),
        Route(KNOBS_PATH, service.turn_knobs, methods=["GET", "PUT", "DELETE"]),
        *(route(path, handler, methods) for path, handler, methods in _ROUTES),
        route("/{path:name}", _left_out, ("GET", "POST", "PUT", "PATCH", "DELETE")),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _left_out(_: Catalog, call: Call) -> Reply:
    """Answer every route of the service that this server leaves out."""
    raise not_implemented(f"{call.method} /{call.path['path']}")


@dataclass(frozen=True)
class _Service:
    catalog: Catalog
    knobs: Knobs
    api_key: str | None

    async def serve(self, handler: Handler, request: Request) -> Response:
        """Handle a request, with the faults that strike before and after it."""
        if not self._authorised(request):
            return PlainTextResponse("Unauthorized", 401)
        raw = await request.body()
        on_index = request.url.path.startswith("/i/")
        rest_style = handler is documents.operation or not on_index
        broken = await self._struck(request, "before", rest_style)
        if broken is not None:
            return broken
        response = await run_in_threadpool(self._handle, handler, request, raw, rest_style)
        return await self._struck(request, "after", rest_style) or response

    async def turn_knobs(self, request: Request) -> Response:
        """Serve the admin route: show, replace or reset the knobs."""
        if not self._authorised(request):
            return PlainTextResponse("Unauthorized", 401)
        try:
            if request.method != "GET":
                self.knobs.configure(decode(request, await request.body()).body)
        except RequestRefusedError as error:
            return refuse(error, rest_style=True)
        return respond(Reply(self.knobs.as_json()))

    def _authorised(self, request: Request) -> bool:
        given = request.headers.get("api-key")
        if not given:
            return False
        return self.api_key is None or hmac.compare_digest(given.encode(), self.api_key.encode())

    async def _struck(self, request: Request, stage: Stage, rest_style: bool) -> Response | None:
        """Return what a fault answers instead; None when none strikes, or it only delays."""
        fault: Fault | None = self.knobs.strike(request.method, request.url.path, stage)
        if fault is None:
            return None
        await asyncio.sleep(fault.delay_seconds)
        if fault.tear is not None:
            return TornResponse(fault.tear)
        return None if fault.refusal is None else refuse(fault.refusal, rest_style=rest_style)

    def _handle(self, handler: Handler, request: Request, raw: bytes, rest_style: bool) -> Response:
        try:
            check_body_size(len(raw))
            call = decode(request, raw)
            self._throttle(handler, call)
            return respond(handler(self.catalog, call))
        except RequestRefusedError as error:
            return refuse(error, rest_style=rest_style)
        except Exception as error:
            _LOG.exception("%s %s failed", request.method, request.url.path)
            message = f"{type(error).__name__}: {error}"
            return refuse(RequestRefusedError(500, message), rest_style=rest_style)

    def _throttle(self, handler: Handler, call: Call) -> None:
        operation = _LIMITED.get(handler)
        if handler is documents.operation:
            operation = {"search": "query"}.get(call.path["operation"], call.path["operation"])
        if operation is not None:
            name = call.path.get("namespace") or call.body.get("namespace")
            namespace = name or call.argument("namespace") or DEFAULT_NAMESPACE
            self.knobs.throttle(operation, call.path["index"], str(namespace))
