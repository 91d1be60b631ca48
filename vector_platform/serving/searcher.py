"""Answering questions from the live generations: the one way from a question to rows.

Belongs here: `Searcher`: what a question is, who answers it, and that an answer is of one
generation and one scope. Does not belong here: who a caller is (`http/access.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Self, TypeVar

from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Hit, IndexRejected, IndexUnavailable, Scope
from vector_platform.indexes.filtering.conditions import Condition
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.lake import Lake
from vector_platform.releases.pointer.live import NothingLive
from vector_platform.serving.answers import (
    Answer,
    BadQuery,
    Document,
    UnknownTenant,
    answer_of,
)
from vector_platform.serving.context import DEFAULT_TOKENS, MAX_TOKENS, Context, written
from vector_platform.serving.documents import Documents
from vector_platform.serving.embedding import QueryModel, QueryVectors, Vector, given_vector
from vector_platform.serving.live import LiveGenerations
from vector_platform.serving.questions import (
    MAX_K,
    check_question,
    check_scope,
    condition_of,
)
from vector_platform.settings import BackendName

# Hits that a context is made of.
CONTEXT_HITS: Final = 20
# Questions of asynchronous callers that are under way at once; others wait for a thread.
THREADS: Final = 16

Found = TypeVar("Found")


class Searcher:
    """Answers questions from the live generations. Threads may share it.

    Every answer is of one live generation: the question is embedded by the model it was built
    with, and the answer names it. Every call names its scope; there is none by default.

    Args:
        lake: Where pointers, generations and documents are.
        index: Logical index.
        backends: Who may answer, the first of them unless a question names another.
        open_index: Opens a backend by name.
        open_model: Opens a model version by name.
        attributes: Attributes that filters may ask for.
        count_tokens: Counts the tokens of a context.
        live: What is live; read from the lake by default.
    """

    def __init__(
        self,
        lake: Lake,
        index: str,
        backends: Sequence[BackendName],
        *,
        open_index: Callable[[BackendName], VectorIndex],
        open_model: Callable[[str], QueryModel],
        attributes: Collection[str] = (),
        count_tokens: Callable[[str], int] = lambda text: len(text.split()),
        live: LiveGenerations | None = None,
    ) -> None:
        self.backends = tuple(backends)
        self.index = index
        self.live = live or LiveGenerations(lake, index, backends, open_index=open_index)
        self.documents = Documents(lake, index, backends, open_index=open_index)
        self._attributes = frozenset(attributes)
        self._open_index = open_index
        self._vectors = QueryVectors(open_model)
        self._count_tokens = count_tokens
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="searcher")

    # -- questions --------------------------------------------------------------------------

    def search(
        self,
        text: str | None = None,
        *,
        scope: Scope,
        vector: Sequence[float] | Vector | None = None,
        like: str | None = None,
        k: int = 10,
        filter: Condition | Mapping[str, Any] | None = None,
        backend: BackendName | None = None,
    ) -> Answer:
        """The k passages most similar to a text, a vector, or a document.

        Args:
            text: A text; exactly one of these three is given.
            vector: A vector of the live generation's model; scaled to unit length.
            like: Id of a document: more like this one, without itself.
            scope: Whose rows, `Scope.of("acme")`.
            k: Number of hits.
            filter: What attributes of hits meet: a condition, or its JSON (`docs/search.md`).
            backend: Whom to ask; the first by default.

        Raises:
            BadQuery: The question is wrong; it names the field.
            UnknownTenant: No row is of the scope's tenants.
            UnknownDocument: The document is not there, or not of the scope.
            NothingLive: The backend serves nothing yet.
            AnotherModel: The model here is not the one that the live generation was built with.
            IndexUnavailable: The backend does not answer.
        """
        where = condition_of(filter, self._attributes)
        name = self._answering(backend)
        check_question(text, vector, like, k, scope)

        def ask(live: GenerationState) -> Answer:
            if scope.is_empty:
                return self._answer(live, [], 0.0)
            if like is not None:
                return self._like(like, live, scope=scope, k=k, where=where)
            asked = (
                self._vectors.of(text, live, scope=scope)
                if text is not None
                else given_vector(vector, live.dimension)
            )
            return self._nearest(asked, live, scope=scope, k=k, where=where)

        return self._while_live(name, ask)

    def document(self, doc_id: str, *, scope: Scope) -> Document:
        """A document with its lineage: source row, chunks, models, and every index that holds it.

        Raises:
            UnknownDocument: There is none of this id in the scope.
        """
        check_scope(scope)
        return self.documents.document(doc_id, scope=scope, live=self._live_or_none)

    def context(
        self,
        text: str,
        *,
        scope: Scope,
        budget_tokens: int = DEFAULT_TOKENS,
        k: int = CONTEXT_HITS,
        filter: Condition | Mapping[str, Any] | None = None,
        backend: BackendName | None = None,
    ) -> Context:
        """Passages for a model to answer from: joined by document, within a budget, cited.

        Args:
            text: The question.
            scope: As in `search`.
            budget_tokens: Tokens of the context at most, as chunks are counted.
            k: Hits that it is made of at most.
            filter: As in `search`.
            backend: As in `search`.

        Raises:
            BadQuery: As `search`, and for a budget out of range.
        """
        if not 1 <= budget_tokens <= MAX_TOKENS:
            raise BadQuery(
                f"the budget is {budget_tokens} tokens; it must be between 1 and {MAX_TOKENS}",
                param="budget_tokens",
            )
        found = self.search(text, scope=scope, k=k, filter=filter, backend=backend)
        said, citations, left_out = written(
            found.hits, budget=budget_tokens, count_tokens=self._count_tokens
        )
        return Context(
            source=found.source,
            text=said,
            citations=citations,
            tokens=self._count_tokens(said) if said else 0,
            left_out=left_out,
            notice=found.notice,
        )

    async def in_thread(self, ask: Callable[..., Found], *args: Any, **how: Any) -> Found:
        """A question for asynchronous callers. Clients of backends block, so it takes a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(ask, *args, **how))

    async def asearch(self, text: str | None = None, **asked: Any) -> Answer:
        """`search` for asynchronous callers."""
        return await self.in_thread(self.search, text, **asked)

    async def acontext(self, text: str, **asked: Any) -> Context:
        """`context` for asynchronous callers."""
        return await self.in_thread(self.context, text, **asked)

    def warm_up(self) -> dict[BackendName, str]:
        """Open what answers: connections, models. Says which backends answer nothing, and why."""
        problems = {}
        for backend in self.backends:
            try:
                live = self.live.of(backend)
                self._vectors.of("warm up", live, scope=Scope.of())
                self._open_index(backend).exists(live.identity)
            except VectorPlatformError as error:
                problems[backend] = str(error)
        return problems

    def close(self) -> None:
        """Stop looking at the lake, once questions under way are answered."""
        self._threads.shutdown()
        self.live.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- their parts ------------------------------------------------------------------------

    def _while_live(self, backend: BackendName, ask: Callable[[GenerationState], Answer]) -> Answer:
        """An answer of the live generation; once more where another has become live meanwhile."""
        live = self.live.of(backend)
        try:
            return ask(live)
        except (IndexRejected, IndexUnavailable):
            self.live.refresh()
            now = self.live.of(backend)
            if now.generation == live.generation:
                raise
            return ask(now)

    def _nearest(
        self,
        vector: Vector,
        live: GenerationState,
        *,
        scope: Scope,
        k: int,
        where: Condition | None,
    ) -> Answer:
        target = self._open_index(live.backend)
        started = time.perf_counter()
        hits = target.search(live.identity, vector, k=k, scope=scope, where=where)
        seconds = time.perf_counter() - started
        if not hits and scope.tenants:
            counts = target.counts(live.identity, sorted(scope.tenants))
            if not any(counts.values()):
                raise UnknownTenant(
                    f"no row of {live.backend} is of tenant {scope}: tenants are named exactly, "
                    "with case and spaces",
                    param="tenants",
                )
        return self._answer(live, hits, seconds)

    def _like(
        self,
        doc_id: str,
        live: GenerationState,
        *,
        scope: Scope,
        k: int,
        where: Condition | None,
    ) -> Answer:
        vector, chunks = self.documents.vector(doc_id, live, scope=scope)
        # Its own chunks may all come first, and are no answer.
        found = self._nearest(vector, live, scope=scope, k=min(k + chunks, MAX_K), where=where)
        others = tuple(hit for hit in found.hits if hit.doc_id != doc_id)[:k]
        return Answer(
            found.source, others, found.seconds, found.notice, found.tenants_asked, found.tenants
        )

    def _answer(self, live: GenerationState, hits: list[Hit], seconds: float) -> Answer:
        age, doubt = self.live.age_seconds, self.live.doubt(live)
        return answer_of(live, hits, seconds, age_seconds=age, doubt=doubt)

    def _answering(self, backend: BackendName | None) -> BackendName:
        if backend is None:
            return self.backends[0]
        if backend not in self.backends:
            raise BadQuery(
                f"backend {backend[:40]!r} is not one of {', '.join(self.backends)}",
                param="backend",
            )
        return backend

    def _live_or_none(self, backend: BackendName) -> GenerationState | None:
        try:
            return self.live.of(backend)
        except NothingLive:
            return None
