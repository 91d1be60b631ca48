"""What golden queries are worth against a snapshot: alive or dead, distinct or the same again.

Belongs here: what can be told of the queries from their rows and the chunks.

A query whose documents are all gone scores zero under every model, so it dilutes a loss; one that
is asked ten times counts ten times; one that asks for another tenant's documents can never be
answered within its own. None of them is wrong by itself, and together they hide a worse model.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from vector_platform.lake.lake import Lake
from vector_platform.quality.retrieval.query_slices import query_slices
from vector_platform.quality.retrieval.question_groups import question_groups

Ill = Literal["dead", "other tenant", "duplicate", "ambiguous", "never hit"]

MENDS: dict[Ill, str] = {
    "dead": "remove it, or name documents that are there",
    "other tenant": "ask it for the tenant of its documents, or name documents of its own",
    "duplicate": "remove it, or leave it: it counts once with the query that it repeats",
    "ambiguous": "give both queries the same documents, or word them apart",
    "never hit": "no model has found a document of it: see that the judgement is right",
}


@dataclass(frozen=True)
class IllQuery:
    """A golden query that says less than it seems to.

    Attributes:
        query_id: `{set_name}/{query_id}`.
        ill: What is the matter.
        text: What is asked.
        tenant: Whose query; None for all tenants.
        about: The documents, or the other query, that it is about.
    """

    query_id: str
    ill: Ill
    text: str
    tenant: str | None
    about: str

    def facts(self) -> dict[str, str | None]:
        """The row for machines, with what would mend it."""
        return {**vars(self), "mend": MENDS[self.ill]}


class GoldenQuestions:
    """The golden queries of a lake, seen against its chunks.

    Args:
        lake: Where both are.
        chunks_version: Of the chunks; default the newest.
    """

    def __init__(self, lake: Lake, chunks_version: int | None = None) -> None:
        self.texts: dict[str, str] = {}
        self._tenants: dict[str, str | None] = {}
        self._sets: dict[str, str] = {}
        self._answers: dict[str, list[str]] = {}
        for row in lake.golden_queries.read().to_pylist():
            query = f"{row['set_name']}/{row['query_id']}"
            self.texts[query], self._tenants[query] = row["text"], row["tenant"]
            self._sets[query] = row["set_name"]
            answers = self._answers.setdefault(query, [])
            if row["gain"] > 0:
                answers.append(row["doc_id"])
        asked = sorted({doc for answers in self._answers.values() for doc in answers})
        rows = lake.chunks.read(
            ["doc_id", "tenant"], where=[("doc_id", "in", asked)], version=chunks_version
        )
        self._owners = {row["doc_id"]: row["tenant"] for row in rows.to_pylist()}

    @cached_property
    def dead(self) -> set[str]:
        """Queries that no document with a chunk answers."""
        return {
            query
            for query, answers in self._answers.items()
            if not any(doc in self._owners for doc in answers)
        }

    @cached_property
    def groups(self) -> dict[str, str]:
        """Query -> the first query that asks the same of the same tenant; itself for most."""
        owners = {query: tenant for query, tenant in self._tenants.items() if tenant is not None}
        return question_groups(self.texts, owners)

    @cached_property
    def slices(self) -> dict[str, tuple[str, ...]]:
        """Query -> names of its slices."""
        return {
            query: query_slices(text, set_name=self._sets[query], tenant=self._tenants[query])
            for query, text in self.texts.items()
        }

    def ill(self, found: Collection[str] | None = None) -> list[IllQuery]:
        """Every query with something the matter, each for the first reason that holds.

        Args:
            found: Queries of which some model has found a document; None where none was evaluated.
        """
        rows = []
        for query in sorted(self.texts):
            ill = self._ill(query, found)
            if ill:
                kind, about = ill
                rows.append(IllQuery(query, kind, self.texts[query], self._tenants[query], about))
        return rows

    def _ill(self, query: str, found: Collection[str] | None) -> tuple[Ill, str] | None:
        answers, tenant = self._answers[query], self._tenants[query]
        if query in self.dead:
            return "dead", ", ".join(answers) or "no document of a positive gain"
        held = [doc for doc in answers if doc in self._owners]
        if tenant is not None and all(self._owners[doc] != tenant for doc in held):
            return "other tenant", ", ".join(f"{doc} of {self._owners[doc]}" for doc in held)
        first = self.groups[query]
        if first != query:
            same = set(answers) & set(self._answers[first])
            return ("duplicate" if same else "ambiguous"), first
        if found is not None and query not in found:
            return "never hit", ", ".join(held)
        return None
