"""What a sync of one index on one backend works with.

Belongs here: the one value that all its steps share, and what follows from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path

from vector_platform.errors import TransientError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.lock import WAIT_SECONDS, IndexLocks
from vector_platform.indexes.ownership.claims import Ownership
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.lake.lake import Lake

Progress = Callable[[str], None]


class GenerationGone(TransientError):
    """A generation was dropped while somebody waited to write it; the next run finds another."""


@dataclass(frozen=True)
class SyncContext:
    """One index on one backend, and how it is to be synced.

    Attributes:
        lake: Where desired state is.
        target: The backend.
        index: Logical index name.
        spec: How the backend builds it, as JSON; recorded with each generation.
        max_delete_share: Guard, see `plan.guard_deletes`.
        full_proof_hours: Age of the last full proof at which a sync of changes reads all back.
        verify_fetch_share: Share of the digests that a proof of all reads, see
            `indexes/proof_sample.py`.
        batch_rows: Rows in one request of the backend, for forecasts.
        lock_dir: Folder of the locks that keep a second writer out.
        wait_seconds: How long another writer of the same generation is waited for.
        run_id: Recorded with every change of state.
        progress: Called with one line now and then.
    """

    lake: Lake
    target: VectorIndex
    _: KW_ONLY
    index: str
    spec: str
    max_delete_share: float
    full_proof_hours: float = 24
    verify_fetch_share: float = 1.0
    batch_rows: int = 1000
    lock_dir: Path
    wait_seconds: float = WAIT_SECONDS
    run_id: str
    progress: Progress = lambda line: None

    @cached_property
    def locks(self) -> IndexLocks:
        """The locks of this index."""
        return IndexLocks(
            self.lock_dir,
            self.target.backend,
            self.index,
            run_id=self.run_id,
            wait_seconds=self.wait_seconds,
            progress=self.progress,
        )

    @cached_property
    def states(self) -> IndexStates:
        """What is recorded of its generations."""
        return IndexStates(self.lake.index_state, self.target.backend, self.index)

    @cached_property
    def ownership(self) -> Ownership:
        """Whose it is."""
        return Ownership(self.states, self.target)

    def current(self, generation: str) -> GenerationState:
        """The state of a generation whose rows are locked by us, as the last writer has left it.

        Raises:
            GenerationGone: Another run has dropped it.
        """
        found = next((s for s in self.states.present() if s.generation == generation), None)
        if found is None:
            raise self.gone(generation)
        return found

    def gone(self, generation: str) -> GenerationGone:
        """What to raise of a generation that another run has dropped."""
        return GenerationGone(
            f"{self.target.backend} {self.index} {generation} has been dropped by another run"
        )
