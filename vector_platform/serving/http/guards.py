"""What a request must be before anybody reads it: small, whole, in time, for this machine.

Belongs here: the middleware around the application, and reading JSON so strictly that two readers
of one body cannot read two things.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

import orjson
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vector_platform.serving.http.errors import Refused, envelope

# 100 questions with vectors of 4,096 dimensions.
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
# A client on this machine sends a body at once.
BODY_SECONDS: Final = 10.0
# Two of these are two requests in one: proxies and servers differ in which they take.
# Of one object of a body; none that means something has so many.
_MOST_FIELDS: Final = 1_000
_ONCE: Final = (
    b"authorization", b"content-length", b"content-type", b"host", b"transfer-encoding"
)  # fmt: skip
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Guards:
    """Refuses what no endpoint should see.

    Args:
        app: What is guarded.
        hosts: Names that the service is reached by; a page of elsewhere that makes a browser ask
            this machine names its own.
        max_body_bytes: Bytes of a body at most.
        body_seconds: Seconds in which a body has to be there.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[str] = LOOPBACK_NAMES,
        max_body_bytes: int = MAX_BODY_BYTES,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._most = max_body_bytes
        self._seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on with its body read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_headers(scope)
            body = await asyncio.wait_for(self._body(receive), self._seconds)
        except TimeoutError:
            slow = f"the body was not there within {self._seconds:.0f} seconds"
            await _end(envelope(408, slow, code="slow_body"), scope, receive, send)
            return
        except Refused as error:
            answer = envelope(
                error.status_code, str(error.detail), code=error.code, param=error.param
            )
            await _end(answer, scope, receive, send)
            return
        given = False

        async def read() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, read, send)

    def _check_headers(self, scope: Scope) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        counted = Counter(name for name, _ in headers)
        if twice := [name.decode() for name in _ONCE if counted[name] > 1]:
            raise Refused(
                400, f"the header {twice[0]} is sent twice", code="duplicate_header", param=twice[0]
            )
        found = dict(headers)
        host = found.get(b"host", b"").decode("latin-1").lower()
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if name not in self._hosts:
            raise Refused(
                403, f"this service is not called {name[:80]!r}", code="wrong_host", param="host"
            )
        if b"upgrade" in found:
            raise Refused(400, "no other protocol is spoken here", code="upgrade", param="upgrade")
        length = found.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._most:
            raise self._too_large()
        kind = found.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if scope["method"] == "POST" and kind != b"application/json":
            raise Refused(
                415,
                "the body is JSON: send it with Content-Type: application/json",
                code="wrong_content_type",
                param="content-type",
            )

    async def _body(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "the client left", code="disconnected")
            part = message.get("body", b"")
            size += len(part)
            if size > self._most:
                raise self._too_large()
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)

    def _too_large(self) -> Refused:
        return Refused(
            413, f"the body has more than {self._most} bytes: send fewer questions at once",
            code="body_too_large",
        )  # fmt: skip


async def _end(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    answer.headers["Connection"] = "close"
    await answer(scope, receive, send)


class StrictRequest(Request):
    """A request whose JSON means one thing."""

    async def json(self) -> Any:
        """The body as a value."""
        return strict_json(await self.body())


class StrictRoute(APIRoute):
    """A route that reads bodies strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a strict request."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


def strict_json(body: bytes) -> Any:
    """A body as a value.

    Raises:
        Refused: It is no JSON, no UTF-8, nested absurdly, or names a field twice.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise Refused(400, "the body is no UTF-8", code="invalid_json") from None
    except RecursionError:
        return _deep(body)
    except ValueError as error:
        raise Refused(400, f"the body is no JSON: {error}", code="invalid_json") from None


def _deep(body: bytes) -> Any:
    """What is nested so deep that it will be refused, where its field can be named: as a filter."""
    try:
        return orjson.loads(body)
    except ValueError:
        raise Refused(
            400, "the body is nested deeper than any field may be", code="invalid_json"
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MOST_FIELDS:
        raise Refused(400, f"an object has more than {_MOST_FIELDS} fields", code="invalid_json")
    found = dict(pairs)
    if len(found) < len(pairs):
        [(name, _), *_] = Counter(name for name, _ in pairs).most_common(1)
        raise Refused(
            400, f"the field {name[:80]!r} is there twice", code="duplicate_field", param=name[:80]
        )
    return found
