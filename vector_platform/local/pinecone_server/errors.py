"""Errors: their root, and refusals of a request in Pinecone's own shapes.

Belongs here: the root of all errors here, the one that every handler raises, and its rendering.

Pinecone has two error bodies. The control plane and the documents API answer
`{"error": {"code", "message", "details"}, "status"}`; the older RPC-style data plane answers
`{"code", "message", "details"}` with a gRPC number. A 401 and a 429 are plain text.
"""

from __future__ import annotations

from typing import Any

#: HTTP status -> (name in the REST body, number in the RPC body).
_CODES: dict[int, tuple[str, int]] = {
    400: ("INVALID_ARGUMENT", 3),
    403: ("FORBIDDEN", 7),
    404: ("NOT_FOUND", 5),
    409: ("ALREADY_EXISTS", 6),
    412: ("FAILED_PRECONDITION", 9),
    413: ("PAYLOAD_TOO_LARGE", 8),
    422: ("UNPROCESSABLE_ENTITY", 3),
    429: ("RESOURCE_EXHAUSTED", 8),
    500: ("INTERNAL", 13),
    501: ("UNIMPLEMENTED", 12),
    503: ("SERVICE_UNAVAILABLE", 14),
}


class PineconeServerError(Exception):
    """Root of every error that this server raises on purpose. The message says the way out."""


class RequestRefusedError(PineconeServerError):
    """A request this server answers with an error status.

    Attributes:
        status: The HTTP status.
        message: The text for the caller.
        reason: Machine-readable reason, for the namespace alias rules.
        metadata: What goes with the reason, such as the alias's target.
        headers: Extra response headers, such as `Retry-After`.
        plain: Whether the body is plain text instead of JSON.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        reason: str | None = None,
        metadata: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        plain: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.metadata = metadata or {}
        self.headers = headers or {}
        self.plain = plain


def invalid(message: str, *, reason: str | None = None) -> RequestRefusedError:
    """Build the 400 that most checks raise."""
    return RequestRefusedError(400, message, reason=reason)


def undeserializable(what: str) -> RequestRefusedError:
    """Build the 422 for a body of the wrong shape."""
    return RequestRefusedError(
        422, f"Failed to deserialize the JSON body into the target type: {what}"
    )


def not_implemented(what: str) -> RequestRefusedError:
    """Build the 501 that says plainly what this local server leaves out."""
    return RequestRefusedError(501, f"The local Pinecone-compatible server does not do {what}.")


def error_body(error: RequestRefusedError, *, rest_style: bool) -> dict[str, Any]:
    """Render a refusal as the JSON body of its API family.

    Args:
        error: The refusal.
        rest_style: True for the control plane and the documents API, False for the RPC routes.
    """
    name, number = _CODES.get(error.status, ("UNKNOWN", 2))
    details = [{"reason": error.reason, "metadata": error.metadata}] if error.reason else []
    if not rest_style:
        return {"code": number, "message": error.message, "details": details}
    inner: dict[str, Any] = {"code": name, "message": error.message}
    if details:
        inner["details"] = details
    return {"error": inner, "status": error.status}
