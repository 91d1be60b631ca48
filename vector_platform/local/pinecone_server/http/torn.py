"""Breaking a connection on purpose, at the byte where a test wants it.

Belongs here: the one hook into the web server that ASGI has no word for, the connection itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .knobs import Tear

_EXTENSION = "pinecone_server.transport"
_HALF_A_BODY = b'{"half": '


class TearableProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, with the connection handed to the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the application so that each request's scope carries its connection."""
        super().connection_made(transport)
        self.app = _carrying(self.app, transport)


def _carrying(app: Any, transport: asyncio.Transport) -> ASGIApp:
    async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "extensions": {_EXTENSION: transport}}, receive, send)

    return with_transport


class TornResponse(Response):
    """Not a response: the client sees the connection break.

    Args:
        tear: Before any byte of the response, or after the headers and a part of the body.
    """

    def __init__(self, tear: Tear) -> None:
        super().__init__()
        self._tear = tear

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is to be sent, break the connection, and wait until it is broken."""
        transport: asyncio.Transport = scope["extensions"][_EXTENSION]
        if self._tear == "in_body":
            headers = [(b"content-length", b"64"), (b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": _HALF_A_BODY, "more_body": True})
            transport.close()
        else:
            transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass
