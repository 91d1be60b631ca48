"""How a request is refused: one envelope for every answer that is no answer.

Belongs here: the envelope, and which error is which status. It has the shape that clients of
OpenAI read, `{"error": {"message", "type", "param", "code"}}`; no trace, and of what is not the
caller's fault no detail: that goes to the log, under the id that the answer names.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.responses import Response

from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.contract import IndexUnavailable, TooManyTenants
from vector_platform.models.errors import ModelError
from vector_platform.releases.pointer.live import NothingLive
from vector_platform.serving.answers import (
    BadQuery,
    TextNotSearchable,
    UnknownDocument,
    UnknownTenant,
)
from vector_platform.serving.embedding import AnotherModel

_log = logging.getLogger(__name__)

INVALID: Final = "invalid_request_error"
SERVER: Final = "server_error"
# Of a caller's own words, in a message.
_SHOWN: Final = 500


class ErrorDetail(BaseModel):
    """Why there is no answer."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    """The envelope."""

    error: ErrorDetail


class Refused(HTTPException):
    """A request that is refused before it is a question.

    Args:
        status: HTTP status.
        message: What is wrong, and the way out.
        code: For programs.
        param: The field that is wrong.
        headers: Of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers) if headers else None)
        self.code = code
        self.param = param


def as_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A value as JSON."""
    return Response(
        orjson.dumps(value, default=str),
        status,
        dict(headers) if headers else None,
        media_type="application/json",
    )


def envelope(
    status: int,
    message: str,
    *,
    code: str,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A refusal as a response."""
    kind = INVALID if status < 500 else SERVER
    # A name in a body may hold half a character, which no answer can.
    said = message.encode(errors="replace").decode()[:_SHOWN]
    named = param.encode(errors="backslashreplace").decode() if param is not None else None
    error = {"message": said, "type": kind, "param": named, "code": code}
    return as_response({"error": error}, status, headers)


_CODES: Final = {
    UnknownTenant: (404, "unknown_tenant"),
    UnknownDocument: (404, "not_found"),
    TextNotSearchable: (400, "text_not_searchable"),
}
# What is wrong with the service, not with the question: status, code, what a caller is told.
_OURS: Final[Sequence[tuple[type[VectorPlatformError], int, str, str]]] = (
    (NothingLive, 503, "nothing_live", "no generation is live on this backend yet"),
    (IndexUnavailable, 503, "backend_unavailable", "the backend does not answer; try again"),
    (AnotherModel, 503, "model_mismatch", "the model of the live generation is not the one here"),
    (ModelError, 503, "model_unavailable", "the model of the live generation cannot be loaded"),
)
_NAMES: Final = {404: "not_found", 405: "method_not_allowed"}


def refusal_of(error: VectorPlatformError) -> Response:
    """The response that an error of the platform ends with."""
    if isinstance(error, BadQuery):
        status, code = _CODES.get(type(error), (400, "invalid_value"))
        return envelope(status, str(error), code=code, param=error.param)
    if isinstance(error, TooManyTenants):
        return envelope(400, str(error), code="too_many_tenants", param="tenants")
    for kind, status, code, told in _OURS:
        if isinstance(error, kind):
            return _logged(error, status, code, told)
    return _logged(error, 500, "internal", "the service failed")


def _logged(error: Exception, status: int, code: str, told: str) -> Response:
    reference = uuid.uuid4().hex[:12]
    _log.error("%s: %s: %s", reference, type(error).__name__, error)
    headers = {"Retry-After": "1"} if status == 503 else None
    return envelope(status, f"{told} (logged as {reference})", code=code, headers=headers)


def place_of(location: Sequence[int | str]) -> str:
    """Where in a request, as `queries[2].vector[3]`."""
    place = ""
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return place[:100]


def _invalid(error: RequestValidationError) -> Response:
    first = error.errors()[0]
    _, *location = first["loc"]
    kind, place = first["type"], place_of(location)
    if kind == "extra_forbidden":
        return envelope(400, f"{place}: there is no such field", code="unknown_field", param=place)
    if kind == "missing":
        what = place or "the body"
        return envelope(400, f"{what} is required", code="missing_field", param=place or None)
    if not place:
        return envelope(400, "the body is a JSON object", code="invalid_json")
    return envelope(400, f"{place}: {first['msg']}", code="invalid_value", param=place)


def add_handlers(app: FastAPI) -> None:
    """Let everything that an application refuses end in the envelope."""

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _invalid(error)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, AnyHTTPException)
        if isinstance(error, Refused):
            code, param = error.code, error.param
        else:
            code, param = _NAMES.get(error.status_code, "invalid_request"), None
        message = str(error.detail)
        if error.status_code == 404 and not isinstance(error, Refused):
            message = "there is nothing at this path; /openapi.json lists what there is"
        return envelope(error.status_code, message, code=code, param=param, headers=error.headers)

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, VectorPlatformError)
        return refusal_of(error)

    async def unexpected(request: Request, error: Exception) -> Response:
        return _logged(error, 500, "internal", "the service failed")

    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        RequestValidationError: invalid,
        AnyHTTPException: refused,
        VectorPlatformError: failed,
        Exception: unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
