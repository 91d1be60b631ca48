"""Release requests: who asked for which generations to go live, and what became of it.

A request over several backends is one: `r-3f9a02c1`, with a part for each backend,
`r-3f9a02c1/milvus`. All parts are written in one commit before the first pointer moves, so that
whoever comes later, a person or a sensor, completes what is missing. A rollback is a request, too.

Belongs here: the rows of `release_requests`. A request itself never changes; `state`, `waits_for`
and `evidence_id` repeat, for readers of the table, what the decisions add up to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from vector_platform.errors import TerminalError
from vector_platform.lake.contract import canonical_json, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.commits import CommitConflict
from vector_platform.lake.storage.conditions import Condition
from vector_platform.releases.requests.policy import State

COMMIT_ATTEMPTS = 8
OPEN: tuple[State, ...] = ("requested", "approved")


class UnknownRequest(TerminalError):
    """No release request has this id."""


@dataclass(frozen=True)
class ReleaseRequest:
    """One row of `release_requests`.

    Attributes:
        request_id: `r-` and eight hexadecimal digits for the whole, `/`, and the backend.
        backend: Whose pointer would move.
        index: Logical index.
        generation: Generation that would go live.
        model_version: Its model version.
        requester: Who asked.
        automatic: Whether a sensor or a schedule asked, not a person.
        reason: Why.
        run_id: Run that asked.
        requested_at: When.
        state: Where it stands.
        waits_for: What is in its way; empty when nothing is or it has ended.
        evidence_id: Evaluation that holds the newest report of its gates.
        updated_at: When one of these three changed.
        leaves: Generation that a rollback takes back; None for a release.
    """

    request_id: str
    backend: str
    index: str
    generation: str
    model_version: str
    requester: str
    automatic: bool
    reason: str
    run_id: str
    requested_at: datetime
    state: State
    waits_for: str
    evidence_id: str | None
    updated_at: datetime
    leaves: str | None = None

    @classmethod
    def new(cls, *, whole: str | None = None, **known: Any) -> ReleaseRequest:
        """A part as it is first asked for, of a request there is or, without one, of a new one.

        The id of a new one says nothing and is never used twice.
        """
        now: datetime = known["requested_at"]
        identity = {**known, "requested_at": now.isoformat()}
        whole = whole or f"r-{hash_text(canonical_json(identity))[:8]}"
        return cls(
            request_id=f"{whole}/{known['backend']}",
            state="requested",
            waits_for="",
            evidence_id=None,
            updated_at=now,
            **known,
        )

    @property
    def whole(self) -> str:
        """Id of the request that this is a part of."""
        return self.request_id.partition("/")[0]

    @property
    def open(self) -> bool:
        """Whether it can still be released."""
        return self.state in OPEN

    def facts(self) -> dict[str, Any]:
        """The row for machines."""
        return {
            **vars(self),
            "requested_at": self.requested_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
        }


class ReleaseRequests:
    """Reads and writes requests. Writers hold the lock of the store (`store.py`)."""

    def __init__(self, lake: Lake) -> None:
        self._table = lake.release_requests

    def all(self, *where: Condition) -> list[ReleaseRequest]:
        """Requests that meet the conditions, oldest first."""
        rows = self._table.read(where=where).to_pylist()
        requests = [ReleaseRequest(**row) for row in rows]
        return sorted(requests, key=lambda one: (one.requested_at, one.request_id))

    def get(self, request_id: str) -> ReleaseRequest:
        """One request.

        Raises:
            UnknownRequest: There is none of this id.
        """
        found = self.all(("request_id", "==", request_id))
        if not found:
            raise UnknownRequest(
                f"there is no release request {request_id!r}: vector-platform release requests"
            )
        return found[0]

    def parts(self, request_id: str) -> list[ReleaseRequest]:
        """The parts of a request, or the one part that an id names; at least one.

        Raises:
            UnknownRequest: There is none of this id.
        """
        if "/" in request_id:
            return [self.get(request_id)]
        found = [one for one in self.all() if one.whole == request_id]
        return found or [self.get(request_id)]

    def save(self, request: ReleaseRequest) -> ReleaseRequest:
        """Write a request's row."""
        self.save_all([request])
        return request

    def save_all(self, requests: Sequence[ReleaseRequest]) -> None:
        """Write rows in one commit: all of them, or none."""
        if not requests:
            return
        rows = pa.Table.from_pylist(
            [vars(request) for request in requests], schema=self._table.spec.schema
        )
        what = ", ".join(f"{request.request_id} {request.state}" for request in requests)
        metadata = {"run_id": requests[0].run_id, "what": what}
        for attempt in range(COMMIT_ATTEMPTS):
            try:
                self._table.merge(rows, metadata=metadata)
                return
            except CommitConflict:
                # Another backend's service wrote at the same moment; each attempt lets one through.
                if attempt == COMMIT_ATTEMPTS - 1:
                    raise
