"""One request and one answer, free of the web framework, so that handlers are plain functions.

Belongs here: what every handler receives and returns, and paging tokens.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .errors import invalid

LSN_COMMITTED = "x-pinecone-request-lsn"
LSN_RECONCILED = "x-pinecone-max-indexed-lsn"


@dataclass(frozen=True)
class Call:
    """A decoded request.

    Attributes:
        method: HTTP method.
        path: Path parameters of the route, decoded.
        query: Query parameters; every value of a repeated name.
        body: The JSON object of the body; empty without one.
        base_url: Scheme and host the client used, without a trailing slash.
        api_version: `X-Pinecone-Api-Version`.
    """

    method: str
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: dict[str, Any]
    base_url: str
    api_version: str

    def argument(self, name: str) -> str | None:
        """Return the first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else None


@dataclass(frozen=True)
class Reply:
    """A response: a JSON body (None for an empty one), a status and headers."""

    body: dict[str, Any] | None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def committed(body: dict[str, Any], lsn: int | None, *, status: int = 200) -> Reply:
    """Answer a write with the log position it landed at; None when nothing was written."""
    return Reply(body, status, {} if lsn is None else {LSN_COMMITTED: str(lsn)})


def encode_token(last: str) -> str:
    """Make the opaque token for the page after `last`."""
    return base64.urlsafe_b64encode(last.encode()).decode()


def decode_token(token: str | None) -> str:
    """Return the id a page starts after; empty for the first page."""
    if not token:
        return ""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid("Invalid pagination token", reason="INVALID_PAGINATION_TOKEN") from None


def paged(items: Sequence[str], limit: int) -> tuple[list[str], dict[str, Any]]:
    """Cut a page from items of which one more than `limit` were read.

    Returns:
        The page, and the `pagination` entry to merge into the body (empty on the last page).
    """
    page = list(items[:limit])
    if len(items) <= limit:
        return page, {}
    return page, {"pagination": {"next": encode_token(page[-1])}}


def timestamp() -> str:
    """Return the current UTC time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
