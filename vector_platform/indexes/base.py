"""The interface every index backend implements: dumb, complete, and idempotent.

Belongs here: the abstract class, the promises its callers rely on, and what a backend's folder
tells the registry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import SecretStr

from vector_platform.indexes.contract import (
    Claim,
    Generation,
    Hit,
    Mirrored,
    RowKey,
    Scope,
    StoredRow,
    confined,
)
from vector_platform.indexes.filtering.conditions import Condition
from vector_platform.indexes.proof_sample import EVERY_DIGEST, ProofSample, WholeRows
from vector_platform.settings import BackendName, BackendSection

Section = TypeVar("Section", bound=BackendSection)


class VectorIndex(ABC):
    """A backend that holds generations of an index.

    Promises of every implementation:

    * `create`, `upsert`, `delete`, `drop` and `point` may be repeated with the same arguments:
      the second call changes nothing. A call that fails may have been applied in part.
    * An id belongs to one tenant. Whether writing it under another tenant replaces the old row
      (`ids_are_global`) or leaves both is a fact of the backend that `sync` respects.
    * Reads after `fence` see every write acknowledged before it.
    * Rows of many tenants are read, counted and removed in one call each, so that no caller works
      tenant by tenant; how many requests that takes is the backend's affair.
    * Nothing that the platform did not create for the generation's lake is ever changed, dropped
      or aliased: `create`, `drop`, `point` and `mark` look whose it is on the backend, each time.
    * `IndexUnavailable` for what may pass by itself, `IndexRejected` for what will not.
    """

    backend: BackendName
    ids_are_global: bool
    # Whether a request writes rows of one tenant only: rows then come best tenant by tenant.
    tenants_apart = False

    @abstractmethod
    def create(self, generation: Generation) -> None:
        """Make an empty place for a generation, if there is none yet.

        Raises:
            NotOurs: There is one, and it is not the platform's or not of this lake.
        """

    @abstractmethod
    def exists(self, generation: Generation) -> bool:
        """Whether the generation's place is there.

        Raises:
            NotOurs: What is there is another lake's.
        """

    @abstractmethod
    def drop(self, generation: Generation) -> None:
        """Remove a generation and all its rows."""

    @abstractmethod
    def claims(self, index: str) -> list[Claim]:
        """Generations of a logical index that bear the platform's mark, whoever made them.

        As the backend has them now, by name.
        """

    @abstractmethod
    def mark(self, generation: Generation, stamp: str) -> None:
        """Write on a generation's place whose it is, and the stamp of who writes it now.

        Whose it was, the caller has asked (`indexes/ownership/claims.py`); only that the platform
        made it for this generation is seen to.

        Raises:
            NotOurs: The platform did not make it, or not for this generation.
        """

    @abstractmethod
    def upsert(self, generation: Generation, rows: pa.RecordBatch, *, fresh: bool = False) -> None:
        """Write rows of `INDEX_ROW`, replacing rows of the same id and tenant.

        Args:
            generation: Where to.
            rows: What.
            fresh: Nobody has written these ids there before, so there is nothing to replace.

        Raises:
            RowsRejected: Some rows are refused for themselves; all others are written.
        """

    @abstractmethod
    def delete(self, generation: Generation, rows: Sequence[RowKey]) -> None:
        """Remove rows by id and tenant, of many tenants at once; absent ones are no error.

        A row of the same id that is another tenant's stays.
        """

    @abstractmethod
    def fence(
        self, generation: Generation, *, others: bool = True, proof_follows: bool = False
    ) -> None:
        """Return when every acknowledged write is visible to all the reads below.

        Args:
            generation: Where.
            others: Also what earlier processes wrote. A caller that knows that they have fenced
                it, as where the generation was proven since, says so by False: then the price
                follows what this object wrote.
            proof_follows: The rows are read back next, and nothing is deleted before. Searches
                must show the writes; a read that can tell for itself may wait when it is made.
        """

    @abstractmethod
    def tenants(self, generation: Generation) -> list[str]:
        """Tenants that have rows, sorted."""

    @abstractmethod
    def scan(
        self,
        generation: Generation,
        *,
        sample: ProofSample = EVERY_DIGEST,
        whole: WholeRows | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Every row as `INDEX_KEY` batches, with the tenant it is served to.

        In as few requests as the backend allows, however many tenants there are. A row that is
        stored more than once is named once for each copy.

        Args:
            generation: Which.
            sample: Digests of rows that it has not may be null, where reading them costs.
            whole: Rows that are read whole next; some may be brought.
        """

    @abstractmethod
    def keys(
        self, generation: Generation, tenant: str, *, sample: ProofSample = EVERY_DIGEST
    ) -> Iterator[pa.RecordBatch]:
        """All rows of one tenant as `scan` has them, read through the filter queries use."""

    @abstractmethod
    def find(self, generation: Generation, rows: Sequence[RowKey]) -> Iterator[pa.RecordBatch]:
        """Rows named by id and tenant as `INDEX_KEY` batches, of many tenants at once.

        Read through the filter queries use, digests included; those that are not there are left
        out.
        """

    @abstractmethod
    def whole_rows(self, generation: Generation, rows: Sequence[RowKey]) -> dict[RowKey, StoredRow]:
        """Rows of many tenants whole, all that is served of them: text, attributes, vector.

        Those that are not there are left out. A caller asks for no more at once than it would
        hold in memory.
        """

    @abstractmethod
    def count(self, generation: Generation) -> int:
        """Number of rows of all tenants, as the backend counts them."""

    @abstractmethod
    def counts(self, generation: Generation, tenants: Sequence[str]) -> dict[str, int]:
        """Rows of each of these tenants through the filter queries use; 0 where there is none."""

    def deleted_share(self, generation: Generation) -> float | None:
        """Share of stored rows that are deleted and not yet removed; None where nobody knows."""
        return None

    def search(
        self,
        generation: Generation,
        vector: np.ndarray,
        *,
        k: int,
        scope: Scope,
        where: Condition | None = None,
    ) -> list[Hit]:
        """The k most similar rows of a scope, best first, ties by id.

        Every hit is of the scope, whatever the backend found, and meets the condition, as
        `filtering/conditions.py` means it. A backend that cannot ask all of every tenant asks
        some; one that cannot narrow to the condition looks at so many of the nearest: where that
        is not all, the answer is `BoundedHits`.

        Raises:
            IndexRejected: A tenant can have no rows here, or the scope names more tenants than
                the backend asks in one search.
        """
        if scope.is_empty:
            return []
        return confined(self._search(generation, vector, k=k, scope=scope, where=where), scope)

    @abstractmethod
    def _search(
        self,
        generation: Generation,
        vector: np.ndarray,
        *,
        k: int,
        scope: Scope,
        where: Condition | None,
    ) -> list[Hit]:
        """What `search` finds, of a scope that is not empty."""

    def nearest(
        self, generation: Generation, vectors: np.ndarray, *, k: int, scope: Scope
    ) -> list[list[str]]:
        """Ids that `search` would find for each of many queries; for measuring, not for readers."""
        return [
            [hit.id for hit in self.search(generation, vector, k=k, scope=scope)]
            for vector in vectors
        ]

    @abstractmethod
    def point(self, generation: Generation) -> Mirrored:
        """Mirror the live pointer for readers outside the platform (alias), where it fits."""

    @abstractmethod
    def mirrored(self, generation: Generation) -> Mirrored:
        """How far the aliases stand for a generation as `point` would leave them; changes nothing.

        Nothing is behind when readers outside the platform see it.
        """

    @abstractmethod
    def close(self) -> None:
        """Release connections."""


class LocalServer(Protocol):
    """Where an embedded server is reached, and with which key, if it wants one."""

    @property
    def uri(self) -> str: ...  # noqa: D102

    @property
    def api_key(self) -> SecretStr | None: ...  # noqa: D102


# Finds the embedded server of a backend, or raises an error that says how to start it.
FindLocal = Callable[[], LocalServer]


def _no_problems(section: BackendSection) -> Iterable[tuple[str, str]]:
    return ()


@dataclass(frozen=True)
class Backend(Generic[Section]):
    """What the folder of a backend tells the registry, as `BACKEND`.

    Attributes:
        section: Its settings. All have defaults.
        open: Connects, from the settings and the embedded server. It alone imports the client.
        packages: What is imported of its client library; the extra of the backend's name brings it.
        embedded_packages: What its embedded server runs on; the same extra brings it.
        problems: What is wrong with a section on this machine, told without connecting: which
            setting, and why. What a value alone shows, the section's own validation refuses.
        on_by_default: Whether a deployment that says nothing of the backend has it.
    """

    section: type[Section]
    open: Callable[[Section, FindLocal], VectorIndex]
    packages: tuple[str, ...]
    embedded_packages: tuple[str, ...] = ()
    problems: Callable[[Section], Iterable[tuple[str, str]]] = _no_problems
    on_by_default: bool = False
