"""HTTP's spelling of calls and replies.

Belongs here: turning a web request into a `Call`, and a `Reply` or a refusal into a web response.
"""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ..api.control import API_VERSION
from ..call import Call, Reply
from ..errors import RequestRefusedError, error_body, invalid


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
        api_version=request.headers.get("x-pinecone-api-version", API_VERSION),
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
