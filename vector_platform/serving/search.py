"""Searching the live generations: embed the query with the model that the generation names.

Belongs here: one query, one backend, one answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vector_platform.errors import TerminalError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import BoundedHits, Hit, Scope
from vector_platform.indexes.filtering.conditions import Condition
from vector_platform.indexes.ownership.claims import Ownership
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.lake.contract import MAX_TENANT_BYTES, identity_problem
from vector_platform.lake.lake import Lake
from vector_platform.releases.evaluation.probes import QueryEncoder
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.settings import BackendName

MAX_K = 1000


class BadQuery(TerminalError):
    """A query that cannot be answered: empty text, k out of range, or no tenant at all."""


class UnknownTenant(BadQuery):
    """A tenant that no row is of."""


@dataclass(frozen=True)
class SearchResult:
    """Hits of one backend, and exactly what answered.

    Attributes:
        backend: Backend that was asked.
        generation: Its live generation.
        model_version: Model that embedded the rows and the query.
        snapshot: Lake snapshot the generation was last proven equal to.
        hits: Best first.
        seconds: Time in the backend, without embedding the query.
        notice: What a reader should know of an answer that not all tenants were asked for; empty
            when there is nothing.
        tenants_asked: Tenants whose rows were searched, where not all were; else None.
        tenants: Tenants that have rows, where not all were asked; else None.
        doubt: What is known to be wrong with the generation, until it is proven again; None when
            nothing is.
    """

    backend: str
    generation: str
    model_version: str
    snapshot: str
    hits: list[Hit]
    seconds: float
    notice: str = ""
    tenants_asked: int | None = None
    tenants: int | None = None
    doubt: str | None = None

    @property
    def degraded(self) -> bool:
        """Whether the generation is known to be broken: rows may be missing or wrong."""
        return self.doubt is not None

    def as_json(self) -> dict[str, Any]:
        """The result for machines."""
        return {
            "backend": self.backend,
            "generation": self.generation,
            "model_version": self.model_version,
            "snapshot": self.snapshot,
            "seconds": round(self.seconds, 6),
            "notice": self.notice,
            "tenants_asked": self.tenants_asked,
            "tenants": self.tenants,
            "degraded": self.degraded,
            "doubt": self.doubt,
            "hits": [vars(hit) for hit in self.hits],
        }


class SearchService:
    """Answers queries from the live generations.

    Args:
        lake: Where the live pointer is.
        index: Logical index.
        open_index: Opens a backend by name.
        open_encoder: Opens a model version by name.
    """

    def __init__(
        self,
        lake: Lake,
        index: str,
        *,
        open_index: Callable[[BackendName], VectorIndex],
        open_encoder: Callable[[str], QueryEncoder],
    ) -> None:
        self._lake = lake
        self._index = index
        self._open_index = open_index
        self._open_encoder = open_encoder
        # What the backend says of a generation is asked again when our records of it change.
        self._objections: dict[tuple[str, str, tuple[str, ...]], str | None] = {}

    def search(
        self,
        text: str,
        *,
        backend: BackendName,
        tenant: str | None = None,
        k: int = 10,
        where: Condition | None = None,
    ) -> SearchResult:
        """The k chunks most similar to a text.

        Args:
            text: The query.
            backend: Whom to ask.
            tenant: Whose rows, exactly as the tenant is named; None for all.
            k: Number of hits.
            where: The condition that hits meet; None for every row.

        Raises:
            BadQuery: The text is empty, k is not in 1..1000, or nobody can be called
                like the tenant.
            UnknownTenant: No row is of the tenant.
            NothingLive: The backend serves nothing yet.
        """
        if not text.strip():
            raise BadQuery("the query is empty")
        if not 1 <= k <= MAX_K:
            raise BadQuery(f"k is {k}; it must be between 1 and {MAX_K}")
        problem = None if tenant is None else identity_problem(tenant, max_bytes=MAX_TENANT_BYTES)
        if problem:
            raise BadQuery(f"no tenant is called that: the name {problem}")
        live = LivePointer(self._lake, backend, self._index).live_generation()
        (vector,) = self._open_encoder(live.model_version).encode_queries([text])
        target = self._open_index(backend)
        started = time.perf_counter()
        scope = Scope.all_tenants() if tenant is None else Scope.of(tenant)
        hits = target.search(live.identity, vector, k=k, scope=scope, where=where)
        seconds = time.perf_counter() - started
        if tenant is not None and not hits and not target.counts(live.identity, [tenant])[tenant]:
            raise UnknownTenant(
                f"tenant {tenant!r} has no rows in {backend}: tenants are named exactly, with case "
                "and spaces"
            )
        notice = ""
        bounded = hits if isinstance(hits, BoundedHits) else BoundedHits(())
        if bounded.asked is not None:
            notice = (
                f"only the {bounded.asked} largest of {bounded.tenants} tenants were asked; a "
                "search that names its tenant finds all of that tenant's rows"
            )
        elif bounded.looked_at is not None:
            notice = (
                f"only the {bounded.looked_at} nearest rows were looked at for those that pass "
                "the filter; a filter without `not` around a comparison finds all"
            )
        return SearchResult(
            backend=backend,
            generation=live.generation,
            model_version=live.model_version,
            snapshot=str(live.snapshot),
            hits=hits,
            seconds=seconds,
            notice=notice,
            tenants_asked=bounded.asked,
            tenants=bounded.tenants,
            doubt=live.doubt or self._objection(target, live),
        )

    def _objection(self, target: VectorIndex, live: GenerationState) -> str | None:
        """What a copied or restored lake has to say: rows may be of another history."""
        key = (target.backend, live.generation, live.stamps)
        if key not in self._objections:
            owner = Ownership(
                IndexStates(self._lake.index_state, target.backend, self._index), target
            )
            found = owner.objection(live.generation)
            self._objections[key] = f"the generation {found}" if found else None
        return self._objections[key]
