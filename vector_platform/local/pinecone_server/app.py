"""The web application: routes, authentication, and the way from HTTP to handlers and back.

Belongs here: what is true of every request. Does not belong here: what any one of them does.

Handlers run on worker threads, since they parse, scan and wait for the disk. The host of an
index is a path of this server, `/i/{index}`, which the SDK takes as it takes any host.
"""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from vector_platform.local.pinecone_server import aliases, control, documents, namespaces
from vector_platform.local.pinecone_server.call import Call, Reply
from vector_platform.local.pinecone_server.catalog import Catalog
from vector_platform.local.pinecone_server.errors import (
    RequestRefusedError,
    error_body,
    invalid,
    not_implemented,
)
from vector_platform.local.pinecone_server.limits import check_body_size

Handler = Callable[[Catalog, Call], Reply]

HEALTH_PATH = "/_local/health"
_INDEX = "/i/{index}"
_LOG = logging.getLogger(__name__)

_ROUTES: tuple[tuple[str, Handler, tuple[str, ...]], ...] = (
    ("/indexes", control.collection, ("GET", "POST")),
    ("/indexes/{name}", control.item, ("GET", "PATCH", "DELETE")),
    (_INDEX + "/namespaces/{namespace:path}/documents/{operation}", documents.operation, ("POST",)),
    (_INDEX + "/describe_index_stats", namespaces.statistics, ("POST",)),
    (_INDEX + "/namespaces", namespaces.collection, ("GET", "POST")),
    (_INDEX + "/namespaces/{namespace:path}", namespaces.item, ("GET", "DELETE")),
    (_INDEX + "/namespace-aliases", aliases.collection, ("GET", "POST")),
    (_INDEX + "/namespace-aliases/{alias:path}", aliases.item, ("GET", "PATCH", "DELETE")),
)


def create_app(catalog: Catalog, *, api_key: str | None) -> Starlette:
    """Build the application.

    Args:
        catalog: The indexes to serve; closed when the application shuts down.
        api_key: The only key accepted; None accepts any key that is not empty.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        catalog.close()

    def route(path: str, handler: Handler, methods: tuple[str, ...]) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _serve(catalog, handler, request, api_key)

        return Route(path, endpoint, methods=list(methods))

    async def health(_: Request) -> Response:
        return Response(orjson.dumps({"status": "ready", "pid": os.getpid()}))

    routes = [Route(HEALTH_PATH, health)]
    routes += [route(path, handler, methods) for path, handler, methods in _ROUTES]
    routes.append(route("/{path:path}", _left_out, ("GET", "POST", "PUT", "PATCH", "DELETE")))
    return Starlette(routes=routes, lifespan=lifespan)


def _left_out(_: Catalog, call: Call) -> Reply:
    """Answer every route of the service that this server leaves out."""
    raise not_implemented(f"{call.method} /{call.path['path']}")


async def _serve(
    catalog: Catalog, handler: Handler, request: Request, api_key: str | None
) -> Response:
    if not _authorised(request.headers.get("api-key"), api_key):
        return PlainTextResponse("Unauthorized", 401)
    raw = await request.body()
    return await run_in_threadpool(_handle, catalog, handler, request, raw)


def _authorised(given: str | None, expected: str | None) -> bool:
    if not given:
        return False
    return expected is None or hmac.compare_digest(given.encode(), expected.encode())


def _handle(catalog: Catalog, handler: Handler, request: Request, raw: bytes) -> Response:
    on_index = request.url.path.startswith("/i/")
    rest_style = handler is documents.operation or not on_index
    try:
        check_body_size(len(raw))
        return respond(handler(catalog, decode(request, raw)))
    except RequestRefusedError as error:
        return refuse(error, rest_style=rest_style)
    except Exception as error:
        _LOG.exception("%s %s failed", request.method, request.url.path)
        message = f"{type(error).__name__}: {error}"
        return refuse(RequestRefusedError(500, message), rest_style=rest_style)


def decode(request: Request, raw: bytes) -> Call:
    """Turn an HTTP request into a call."""
    try:
        body: Any = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        raise invalid(f"request body must be valid JSON ({error})") from None
    if not isinstance(body, dict):
        raise invalid("request body must be a JSON object")
    host = request.headers.get("host", request.url.netloc)
    return Call(
        method=request.method,
        path=request.path_params,
        query={name: request.query_params.getlist(name) for name in request.query_params},
        body=body,
        base_url=f"{request.url.scheme}://{host}",
        api_version=request.headers.get("x-pinecone-api-version", control.API_VERSION),
    )


def respond(reply: Reply) -> Response:
    """Turn a reply into an HTTP response; float32 vectors are written as they are."""
    if reply.body is None:
        return Response(status_code=reply.status, headers=reply.headers)
    content = orjson.dumps(reply.body, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, reply.status, reply.headers, "application/json")


def refuse(error: RequestRefusedError, *, rest_style: bool) -> Response:
    """Turn a refusal into an HTTP response in the style of the API it came from."""
    if error.plain:
        return PlainTextResponse(error.message, error.status, error.headers)
    content = orjson.dumps(error_body(error, rest_style=rest_style))
    return Response(content, error.status, error.headers, "application/json")
