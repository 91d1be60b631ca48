"""Release requests: who asked for which generation to go live, and what became of it.

Belongs here: the rows of `release_requests`. Does not belong here: what the state is
(`policy.py`), the gates, or the flip (`settling.py`). A request itself never changes; `state`,
`waits_for` and `evidence_id` repeat, for readers of the table, what the decisions add up to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from vector_platform.errors import TerminalError
from vector_platform.lake.conditions import Condition
from vector_platform.lake.contract import canonical_json, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.releases.policy import State

OPEN: tuple[State, ...] = ("requested", "approved")


class UnknownRequest(TerminalError):
    """No release request has this id."""


@dataclass(frozen=True)
class ReleaseRequest:
    """One row of `release_requests`.

    Attributes:
        request_id: `r-` and eight hexadecimal digits.
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
        updated_at: When one of the last three changed.
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

    @classmethod
    def new(cls, **known: Any) -> ReleaseRequest:
        """A request as it is first asked for. Its id says nothing and is never used twice."""
        now: datetime = known["requested_at"]
        identity = {**known, "requested_at": now.isoformat()}
        return cls(
            request_id=f"r-{hash_text(canonical_json(identity))[:8]}",
            state="requested",
            waits_for="",
            evidence_id=None,
            updated_at=now,
            **known,
        )

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
    """Reads and writes requests. Writers hold the lock of the ledger (`ledger.py`)."""

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

    def save(self, request: ReleaseRequest) -> ReleaseRequest:
        """Write a request's row."""
        rows = pa.Table.from_pylist([vars(request)], schema=self._table.spec.schema)
        what = f"{request.request_id} {request.state}"
        self._table.merge(rows, metadata={"run_id": request.run_id, "what": what})
        return request
