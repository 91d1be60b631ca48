"""What a search, a document and a context are answered with, and how a question is refused.

Belongs here: values, their JSON, and the errors of a question. Does not belong here: finding
anything (`searcher.py`, `documents.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from vector_platform.errors import TerminalError
from vector_platform.indexes.contract import BoundedHits, Hit
from vector_platform.indexes.state import GenerationState

# Fields of a hit that an answer may leave out.
INCLUDABLE: Final = ("title", "text", "attributes", "region", "digest")


_WITHHELD: Final = (
    "rows that are not of the search's tenants were found where theirs are, and withheld: "
    "`vector-platform index verify` names them"
)


class BadQuery(TerminalError):
    """A question that cannot be answered.

    Attributes:
        param: The field that is wrong, as `filter.value`.
    """

    def __init__(self, message: str, *, param: str) -> None:
        self.param = param
        super().__init__(message)


class UnknownTenant(BadQuery):
    """Tenants that no row is of."""


class UnknownDocument(BadQuery):
    """No document of this id is in the scope, or anywhere."""


class TextNotSearchable(BadQuery):
    """The live generation's model cannot embed a text here; a vector may still be searched for."""


@dataclass(frozen=True)
class Source:
    """What answered: said with every answer, because it is what an answer can be checked against.

    Attributes:
        backend: Backend that was asked.
        generation: Its live generation.
        model_version: Model that embedded the rows and the query.
        snapshot: Lake snapshot that the generation was last proven equal to.
        age_seconds: How long ago what is live was last read from the lake.
        doubt: What is known to be wrong, until it is mended; None when nothing is.
    """

    backend: str
    generation: str
    model_version: str
    snapshot: str
    age_seconds: float
    doubt: str | None

    @property
    def degraded(self) -> bool:
        """Whether rows may be missing, wrong or outdated."""
        return self.doubt is not None

    def as_json(self) -> dict[str, Any]:
        """The source for machines."""
        return {
            "backend": self.backend,
            "generation": self.generation,
            "model_version": self.model_version,
            "snapshot": self.snapshot,
            "age_seconds": round(self.age_seconds, 3),
            "degraded": self.degraded,
            "doubt": self.doubt,
        }


@dataclass(frozen=True)
class Answer:
    """Hits of one backend, and exactly what answered.

    Attributes:
        source: What answered.
        hits: Best first.
        seconds: Time in the backend, without embedding the query.
        notice: What a reader should know of an answer that not all rows were looked at for; empty
            when there is nothing.
        tenants_asked: Tenants whose rows were searched, where not all were; else None.
        tenants: Tenants that have rows, where not all were asked; else None.
        id: Of this answer alone.
    """

    source: Source
    hits: tuple[Hit, ...]
    seconds: float
    notice: str = ""
    tenants_asked: int | None = None
    tenants: int | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def as_json(self, *, include: Collection[str] = INCLUDABLE) -> dict[str, Any]:
        """The answer for machines; of `INCLUDABLE`, hits have these fields."""
        left_out = set(INCLUDABLE) - set(include)
        return {
            "id": self.id,
            **self.source.as_json(),
            "seconds": round(self.seconds, 6),
            "notice": self.notice,
            "tenants_asked": self.tenants_asked,
            "tenants": self.tenants,
            "hits": [
                {name: value for name, value in vars(hit).items() if name not in left_out}
                for hit in self.hits
            ],
        }


def answer_of(
    live: GenerationState,
    hits: list[Hit],
    seconds: float,
    *,
    age_seconds: float,
    doubt: str | None,
) -> Answer:
    """What a generation answered, with all that is to be said of it.

    Args:
        live: The generation.
        hits: What it found.
        seconds: See `Answer`.
        age_seconds: See `Source`.
        doubt: What was known to be wrong with it before it was asked.
    """
    bounded = hits if isinstance(hits, BoundedHits) else BoundedHits(())
    source = Source(
        backend=live.backend,
        generation=live.generation,
        model_version=live.model_version,
        snapshot=str(live.snapshot),
        age_seconds=age_seconds,
        doubt=doubt or (_WITHHELD if bounded.withheld else None),
    )
    notice = notice_of(hits)
    return Answer(source, tuple(hits), seconds, notice, bounded.asked, bounded.tenants)


def notice_of(hits: list[Hit]) -> str:
    """What a reader should know of hits that are not all there may be."""
    if not isinstance(hits, BoundedHits):
        return ""
    if hits.asked is not None:
        return (
            f"only the {hits.asked} largest of {hits.tenants} tenants were asked; a search that "
            "names its tenant finds all of that tenant's rows"
        )
    if hits.looked_at is not None:
        return (
            f"only the {hits.looked_at} nearest rows were looked at for those that pass the "
            "filter; a filter without `not` around a comparison finds all"
        )
    return ""


@dataclass(frozen=True)
class Held:
    """A generation that holds rows of a document.

    Attributes:
        backend: Where.
        generation: Which.
        model_version: Its model.
        snapshot: What it was last proven equal to; None for one that is being built.
        live: Whether readers see it.
        chunks: How many of the document's chunks it holds.
        problem: Why that is not known, as of a backend that does not answer; None where it is.
    """

    backend: str
    generation: str
    model_version: str
    snapshot: str | None
    live: bool
    chunks: int | None
    problem: str | None = None


@dataclass(frozen=True)
class Passage:
    """A chunk of a document.

    Attributes:
        id: Chunk id.
        ordinal: Its place in the document, from 0.
        text: The passage.
        content_hash: What its vectors belong to.
        models: Model versions under which the lake holds its vector.
    """

    id: str
    ordinal: int
    text: str
    content_hash: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Document:
    """A document with its lineage: from the source's row to every index that holds it.

    Attributes:
        id: `{source}:{key}`.
        tenant: Whose it is.
        region: Region it is bound to.
        title: Its title.
        body: Its text.
        attributes: What filters compare.
        updated_at: When the source last changed it; None where it does not say.
        source: Source of `platform.yaml`.
        key: The row's key there.
        uri: Where the row was read.
        row_hash: Hash of the row as it landed.
        run_id: Run that landed it.
        ingested_at: When.
        snapshot: The lake as of which all this holds.
        chunks: Its passages, in order.
        indexes: Generations that are present on a backend, with how much of it they hold.
    """

    id: str
    tenant: str
    region: str
    title: str
    body: str
    attributes: dict[str, Any]
    updated_at: datetime | None
    source: str
    key: str
    uri: str
    row_hash: str
    run_id: str
    ingested_at: datetime
    snapshot: str
    chunks: tuple[Passage, ...]
    indexes: tuple[Held, ...]

    def as_json(self) -> dict[str, Any]:
        """The document for machines."""
        return {
            **vars(self),
            "updated_at": self.updated_at.isoformat() if self.updated_at else None,
            "ingested_at": self.ingested_at.isoformat(),
            "chunks": [vars(chunk) for chunk in self.chunks],
            "indexes": [vars(index) for index in self.indexes],
        }
