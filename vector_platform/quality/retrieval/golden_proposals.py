"""Golden queries that the platform proposes: kept apart until a person has decided.

Belongs here: the rows of `golden_proposals`, what is decided about them, and forgetting those
whose text is gone.

A proposal counts nowhere. An accepted one is a golden query of the set `novel-share`, a name that
no set of `platform.yaml` can have. Its text is a piece of its document's text: it goes, accepted or
not, when the document does or no longer holds it. So whatever is erased from the corpus is erased
from here, with the chunks that follow the same documents.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from vector_platform.errors import TerminalError
from vector_platform.lake.contract import GOLDEN_QUERIES, canonical_json, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.lake.slices.quarantine import SliceQuarantine
from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.tables import run_metadata
from vector_platform.quality.retrieval.known_items import known_items, texts_of
from vector_platform.quality.sketches.references import Reference, newest_reference

State = Literal["proposed", "accepted", "rejected"]

ACCEPTED_SET = "novel-share"
# What a person reads in a quarter of an hour.
PROPOSED_AT_ONCE = 30


class BadProposal(TerminalError):
    """Proposals that are not there, or that cannot be accepted now; all of them are named."""


@dataclass(frozen=True)
class Proposal:
    """One row of `golden_proposals`.

    Attributes:
        proposal_id: `gq-` and eight hexadecimal digits.
        state: What has been decided.
        text: The query, a piece of the document's text.
        doc_id: The document that answers it.
        tenant: Whose document; the query is asked within it.
        novelty: How unlike the old reference its passage is; 0 is alike.
        model_version: Whose reference did not explain it.
        provenance: From which days and against which reference.
        decided_by: Who decided; None while nobody has.
        run_id: Run that proposed it.
        proposed_at: When.
    """

    proposal_id: str
    state: State
    text: str
    doc_id: str
    tenant: str
    novelty: float
    model_version: str
    provenance: str
    decided_by: str | None
    run_id: str
    proposed_at: datetime

    def facts(self) -> dict[str, Any]:
        """The row for machines."""
        return {**vars(self), "proposed_at": self.proposed_at.isoformat()}

    def golden_query(self) -> dict[str, Any]:
        """The row of `golden_queries` that an accepted one is."""
        return {
            "set_name": ACCEPTED_SET,
            "query_id": self.proposal_id,
            "text": self.text,
            "doc_id": self.doc_id,
            "gain": 1,
            "tenant": self.tenant,
            "provenance": f"{self.provenance}; accepted by {self.decided_by}",
        }


class GoldenProposals:
    """Reads and writes proposals.

    Args:
        lake: Where they are.
        run_id: Goes into commits.
    """

    def __init__(self, lake: Lake, *, run_id: str) -> None:
        self._lake = lake
        self._table = lake.golden_proposals
        self._run_id = run_id

    def all(self) -> list[Proposal]:
        """Every proposal of a document that readers may see, the newest and strangest first."""
        rows = self._table.read().to_pylist()
        quarantined = SliceQuarantine(self._lake).documents() if rows else set()
        found = [Proposal(**row) for row in rows if row["doc_id"] not in quarantined]
        return sorted(found, key=lambda p: (-p.proposed_at.timestamp(), -p.novelty, p.proposal_id))

    def propose(self, reference: Reference, *, now: datetime) -> list[Proposal]:
        """Propose queries for what a reference holds and the one before it did not explain.

        Once for a reference, however often it is asked. Documents that any golden query or
        earlier proposal asks for are left out.
        """
        old = newest_reference(self._lake, reference.model_version, before=reference.sequence)
        if old is None:
            return []
        provenance = (
            f"proposed: novel share of {reference.first_day}..{reference.last_day}, not explained "
            "by "
            f"reference {old.sequence} of {reference.model_version} "
            f"({old.first_day}..{old.last_day})"
        )
        asked = self._table.read(["doc_id", "provenance"])
        if provenance in asked.column("provenance").to_pylist():
            return []
        golden = self._lake.golden_queries.read(["doc_id"])
        known = {*asked.column("doc_id").to_pylist(), *golden.column("doc_id").to_pylist()}
        items = known_items(self._lake, old, reference, count=PROPOSED_AT_ONCE, known=sorted(known))
        proposals = [
            Proposal(
                proposal_id=f"gq-{hash_text(canonical_json([item.doc_id, item.text]))[:8]}",
                state="proposed",
                text=item.text,
                doc_id=item.doc_id,
                tenant=item.tenant,
                novelty=item.novelty,
                model_version=reference.model_version,
                provenance=provenance,
                decided_by=None,
                run_id=self._run_id,
                proposed_at=now,
            )
            for item in items
        ]
        self._save(proposals, provenance)
        return proposals

    def decide(self, proposal_ids: Collection[str], state: State, *, actor: str) -> list[Proposal]:
        """Accept or reject proposals. Those that are so already are left alone.

        Returns:
            All of them, as they are then.

        Raises:
            BadProposal: Some are not there; nothing is decided.
        """
        known = {one.proposal_id: one for one in self.all()}
        missing = sorted(set(proposal_ids) - set(known))
        if missing:
            raise BadProposal(
                f"there are no proposals {', '.join(missing)} of documents that readers may see: "
                "vector-platform golden proposals --all"
            )
        found = [known[each] for each in sorted(set(proposal_ids))]
        changed = [
            replace(one, state=state, decided_by=actor) for one in found if one.state != state
        ]
        self._save(changed, f"{state}: {len(changed)} proposed golden queries")
        return [replace(one, state=state) for one in found]

    def accepted_ids(self) -> list[str]:
        """Ids of the accepted proposals, sorted."""
        where: list[Condition] = [("state", "==", "accepted")]
        return sorted(self._table.read(["proposal_id"], where=where).column(0).to_pylist())

    def accepted(self) -> pa.Table:
        """Accepted proposals as rows of `golden_queries`."""
        rows = self._table.read(where=[("state", "==", "accepted")]).to_pylist()
        return pa.Table.from_pylist(
            [Proposal(**row).golden_query() for row in rows], schema=GOLDEN_QUERIES.schema
        )

    def forget(self) -> int:
        """Remove proposals, and golden queries made of them, whose text is gone. Returns how many.

        Also removes golden queries of the set that are no accepted proposals: a run that was
        gathering while another forgot may have written them.
        """
        rows = self._table.read(["proposal_id", "doc_id", "text", "state"]).to_pylist()
        gone = _gone(self._lake, rows) if rows else []
        metadata = run_metadata(self._run_id, "forget queries whose text is gone")
        if gone:
            self._table.remove([("proposal_id", "in", gone)], metadata)
        count = {row["proposal_id"] for row in rows if row["state"] == "accepted"} - set(gone)
        of_set: list[Condition] = [("set_name", "==", ACCEPTED_SET)]
        golden = self._lake.golden_queries.read(["query_id"], where=of_set).column("query_id")
        stray = sorted(set(golden.to_pylist()) - count)
        if stray:
            self._lake.golden_queries.remove([*of_set, ("query_id", "in", stray)], metadata)
        return len(set(gone) | set(stray))

    def _save(self, proposals: Sequence[Proposal], what: str) -> None:
        rows = [vars(one) for one in proposals]
        if rows:
            self._table.merge(
                pa.Table.from_pylist(rows, schema=self._table.spec.schema),
                metadata=run_metadata(self._run_id, what),
            )


def _gone(lake: Lake, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Ids of the proposals whose document is not there or does not hold their text."""
    held = {
        row["doc_id"]: [" ".join(row[name].split()) for name in ("title", "body")]
        for row in texts_of(lake, sorted({row["doc_id"] for row in rows}))
    }
    return sorted(
        row["proposal_id"]
        for row in rows
        if not any(row["text"] in text for text in held.get(row["doc_id"], []))
    )
