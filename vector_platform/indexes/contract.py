"""What an index holds: the row, the generation it belongs to, a hit, and whose rows a search finds.

Belongs here: values that the plan, the sync and every backend share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from vector_platform.errors import TerminalError, TransientError

# Names of generations, as an expression: `g0001`.
GENERATION_NAME: Final = r"g\d{4,}"
# Who a row is and whom it is served to: (id, tenant).
RowKey = tuple[str, str]
# A row as a backend serves it, whole: the fields of `INDEX_ROW` but its id, `vector` as a float32
# array, `attributes` as an object. What is not stored is None or not there.
StoredRow = Mapping[str, Any]

# One row of an index, as the lake hands it over. `attributes` is canonical JSON.
INDEX_ROW = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("tenant", pa.string(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.float32()), nullable=False),
        pa.field("region", pa.string(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),
    ]
)

# What is compared between lake and index: who a row is, whose it is, what it was made from. An
# index that was not asked for a digest leaves it null: the row is there, made from who knows what.
INDEX_KEY = pa.schema(
    [INDEX_ROW.field("id"), INDEX_ROW.field("tenant"), pa.field("digest", pa.string())]
)


@dataclass(frozen=True)
class Generation:
    """One physical build of an index: never mixed with another, never renamed.

    Attributes:
        index: Logical index, e.g. `documents`.
        name: `g0001`, `g0002`, ...; unique within (backend, index), never reused.
        model_version: The model whose vectors it holds.
        dimension: Length of those vectors.
        lake: Identity of the lake it is made from; empty where none is named.
    """

    index: str
    name: str
    model_version: str
    dimension: int
    lake: str = ""


@dataclass(frozen=True)
class Claim:
    """What a backend says of a generation that bears the platform's mark, whoever made it.

    Attributes:
        generation: What it was made for, with the identity of its lake; that is empty for one
            that was made before lakes had an identity.
        stamp: Who wrote it last, see `indexes/ownership/claims.py`; empty for one that nobody has
            written yet.
    """

    generation: Generation
    stamp: str


@dataclass(frozen=True)
class Scope:
    """Whose rows a search may find. Nothing takes one by default: who asks, says whose.

    Attributes:
        tenants: The tenants, exactly as they are named; without any, nothing is found.
        unconfined: Rows of every tenant, whatever tenants there are.
    """

    tenants: frozenset[str]
    unconfined: bool

    @classmethod
    def of(cls, *tenants: str) -> Scope:
        """Rows of these tenants; of none, no rows.

        Raises:
            TypeError: What should be a tenant is no text.
        """
        if odd := [tenant for tenant in tenants if not isinstance(tenant, str)]:
            raise TypeError(f"a tenant is a text, not {type(odd[0]).__name__}")
        return cls(frozenset(tenants), unconfined=False)

    @classmethod
    def all_tenants(cls) -> Scope:
        """Rows of every tenant: for operators and measurements, never for a caller's credential."""
        return cls(frozenset(), unconfined=True)

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be found."""
        return not self.tenants and not self.unconfined

    def holds(self, tenant: str) -> bool:
        """Whether rows of a tenant may be found."""
        return self.unconfined or tenant in self.tenants

    def __str__(self) -> str:
        """For people."""
        return "all tenants" if self.unconfined else ", ".join(sorted(self.tenants)) or "nobody"


@dataclass(frozen=True)
class Hit:
    """One search result.

    Attributes:
        id: Chunk id.
        score: Cosine similarity in [-1, 1]; higher is better on every backend.
        tenant: Tenant of the row.
        doc_id: Document the chunk belongs to.
        title: Title of the document.
        text: The passage.
        region: Region the row is bound to.
        digest: What the row says it was made from.
        attributes: Attributes, with the types they had in the lake.
    """

    id: str
    score: float
    tenant: str
    doc_id: str
    title: str
    text: str
    region: str
    digest: str
    attributes: dict[str, Any] = field(default_factory=dict)


class BoundedHits(list[Hit]):
    """Hits of a search that did not look at every row that it may find: more may be there.

    Attributes:
        asked: Tenants whose rows were searched, where not all of them were; else None.
        tenants: Tenants that have rows, where not all of them were searched; else None.
        looked_at: Nearest rows among which those that meet the search's condition were found,
            where they were fewer than asked for; else None.
        withheld: Whether rows were found that are not of the search's scope, and left out.
    """

    def __init__(
        self,
        hits: Iterable[Hit],
        *,
        asked: int | None = None,
        tenants: int | None = None,
        looked_at: int | None = None,
        withheld: bool = False,
    ) -> None:
        super().__init__(hits)
        self.asked = asked
        self.tenants = tenants
        self.looked_at = looked_at
        self.withheld = withheld


def confined(hits: list[Hit], scope: Scope) -> list[Hit]:
    """The hits that are of a scope: the last look at whose they are.

    A backend was told the scope. A row of somebody else is there because an index is damaged, or
    because a backend did not do what it was told: it is left out, and the answer says so.
    """
    own = [hit for hit in hits if scope.holds(hit.tenant)]
    if len(own) == len(hits):
        return hits
    said = hits if isinstance(hits, BoundedHits) else BoundedHits(())
    return BoundedHits(
        own, asked=said.asked, tenants=said.tenants, looked_at=said.looked_at, withheld=True
    )


@dataclass(frozen=True)
class Mirrored:
    """How far a backend's own aliases follow the live pointer, for readers outside the platform.

    Attributes:
        aliases: Aliases that stand for the generation, or for a tenant's rows in it.
        without: Tenants that no alias stands for: the backend has no room for one, or refuses its
            name. Readers outside find their rows by the names of the generation alone.
        behind: Aliases that do not stand for the generation as they should, in words.
    """

    aliases: int
    without: int = 0
    behind: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For people."""
        return with_lacking(f"{self.aliases} aliases", self)


def with_lacking(told: str, mirrored: Mirrored | None) -> str:
    """A line for people, and how many tenants have no alias where some have none."""
    if mirrored is None or not mirrored.without:
        return told
    some = "1 tenant has" if mirrored.without == 1 else f"{mirrored.without} tenants have"
    return f"{told}; {some} no alias for readers outside"


class IndexUnavailable(TransientError):
    """The backend cannot be reached or is overloaded; the same call may succeed later."""


class IndexRejected(TerminalError):
    """The backend refuses the request: limits, credentials, a broken schema."""


class TooManyTenants(IndexRejected):
    """A search names more tenants than the backend is asked for at once."""


class NotOurs(IndexRejected):
    """What a name stands for belongs to another lake, or to nobody that the platform knows."""


class RowsRejected(TerminalError):
    """The backend refuses some rows; the others of the batch are written.

    Attributes:
        reasons: Row id -> the backend's reason.
    """

    def __init__(self, reasons: dict[str, str]) -> None:
        self.reasons = reasons
        first = next(iter(reasons.items()))
        super().__init__(f"{len(reasons)} row(s) refused, first {first[0]!r}: {first[1]}")
