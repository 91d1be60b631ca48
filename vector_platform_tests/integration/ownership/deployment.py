"""Lakes that share one backend and one index name."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.ownership.adoption import Adopter
from vector_platform.indexes.proof.verify import verify
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.lake import Lake
from vector_platform_tests.integration.conftest import Server, open_index
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put
from vector_platform_tests.syncing import index_sync

INDEX_NAMES = (f"owned{number}" for number in itertools.count())


class Deployment:
    """A lake in a folder of its own, with locks of its own, and an adapter for the one server."""

    def __init__(self, folder: Path, server: Server, index: str) -> None:
        self.folder = folder
        self.index = index
        self.lake: Lake = open_lake(folder)
        self.target: VectorIndex = open_index(server)

    @property
    def sync(self) -> IndexSync:
        return index_sync(self.lake, self.target, self.folder, index=self.index)

    def put(self, *names: str, delete: tuple[str, ...] = ()) -> None:
        rows = [chunk(name, f"text of {name}", tenant="ab"[len(name) % 2]) for name in names]
        put(self.lake, *rows, delete=[f"{name}#0" for name in delete])
        embed(self.lake)

    def newest(self) -> GenerationState:
        state = self.sync.states.newest(MODEL)
        assert state is not None
        return state

    def holds(self) -> set[str]:
        """Ids of the newest generation, by the backend."""
        return {
            row_id
            for batch in self.target.scan(self.newest().identity)
            for row_id in batch.column("id").to_pylist()
        }

    def assert_untouched(self, rows: set[str]) -> None:
        """It holds these rows, they are right, and its owner can go on."""
        assert self.holds() == {f"{name}#0" for name in rows}
        state = self.newest()
        assert verify(self.lake, self.target, state.identity, self.lake.snapshot()).clean
        self.sync.sync(MODEL)


NOW = datetime(2026, 1, 1, tzinfo=UTC)

SIX = {"s:1", "s:22", "s:3", "s:44", "s:5", "s:66"}


def another(ours: Deployment, server: Server, name: str = "theirs") -> Deployment:
    return Deployment(ours.folder.parent / name, server, ours.index)


def adopter(deployment: Deployment) -> Adopter:
    return Adopter(
        deployment.lake, deployment.target, deployment.sync.states, spec="{}", run_id="adopting"
    )
