"""Slices of documents: those of a source or tenant, from a day on.

Belongs here: which documents a slice holds, and its name in a commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from vector_platform.errors import TerminalError
from vector_platform.lake.contract import MAX_TENANT_BYTES, canonical_json, identity_problem
from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.storage.tables import Table

# What of a document says whether a slice holds it.
SLICE_COLUMNS = ("source", "tenant", "updated_at", "ingested_at")


class SliceUnnamed(TerminalError):
    """A slice of everything, or of nothing: no source or tenant is named that there can be."""


@dataclass(frozen=True)
class Slice:
    """Documents of a source, a tenant or both, from a day on.

    Attributes:
        source: Name of the source; empty for all.
        tenant: The tenant; empty for all.
        since: First day (UTC) of a document's last change, or of its coming where the source knows
            no time; None for all days.

    Raises:
        SliceUnnamed: Neither source nor tenant is named, or no tenant can be called that.
    """

    source: str = ""
    tenant: str = ""
    since: date | None = None

    def __post_init__(self) -> None:
        if not (self.source or self.tenant):
            raise SliceUnnamed("name the source or the tenant whose documents are quarantined")
        problem = identity_problem(self.tenant, max_bytes=MAX_TENANT_BYTES) if self.tenant else None
        if problem:
            raise SliceUnnamed(f"no tenant is called that: the name {problem}")

    def __str__(self) -> str:
        since = self.since.isoformat() if self.since else ""
        parts = {"source": self.source, "tenant": self.tenant, "since": since}
        return " ".join(f"{name} {value}" for name, value in parts.items() if value)

    def holds(self, document: Mapping[str, Any]) -> bool:
        """Whether a document is of the slice, from its `SLICE_COLUMNS`."""
        if self.source not in ("", document["source"]):
            return False
        if self.tenant not in ("", document["tenant"]):
            return False
        moment: datetime = document["updated_at"] or document["ingested_at"]
        return self.since is None or moment.astimezone(UTC).date() >= self.since

    def covers(self, other: Slice) -> bool:
        """Whether every document of the other slice is of this one."""
        return (
            self.source in ("", other.source)
            and self.tenant in ("", other.tenant)
            and (self.since is None or (other.since is not None and self.since <= other.since))
        )


def documents_of(
    documents: Table, slices: Iterable[Slice], *, version: int | None = None
) -> set[str]:
    """Ids of the documents that any of some slices holds.

    Args:
        documents: The lake's documents.
        slices: Which.
        version: Version of the documents; the newest by default.
    """
    found: set[str] = set()
    for one in slices:
        named = {"source": one.source, "tenant": one.tenant}
        where: list[Condition] = [(name, "==", value) for name, value in named.items() if value]
        columns = ["doc_id", *SLICE_COLUMNS]
        for batch in documents.batches(columns, where=where, version=version):
            found.update(row["doc_id"] for row in batch.to_pylist() if one.holds(row))
    return found


def name_slices(slices: Iterable[Slice]) -> str:
    """Slices as text for the metadata of a commit; empty for none."""
    named = sorted([one.source, one.tenant, str(one.since or "")] for one in set(slices))
    return canonical_json(named) if named else ""


def parse_slices(text: str) -> frozenset[Slice]:
    """What `name_slices` has named."""
    return frozenset(
        Slice(source, tenant, date.fromisoformat(since) if since else None)
        for source, tenant, since in json.loads(text or "[]")
    )
