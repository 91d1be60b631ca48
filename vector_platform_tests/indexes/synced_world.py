"""A real lake, an index in memory, and the sync between them."""

from __future__ import annotations

import atexit
import copy
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.context import Progress
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.lake import Lake
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put
from vector_platform_tests.syncing import index_sync


class World:
    """A real lake, an index in memory, and the sync between them."""

    def __init__(self, folder: Path, *, ids_are_global: bool = False) -> None:
        self.folder = folder
        self.lake: Lake = open_lake(folder)
        self.target = MemoryIndex(ids_are_global=ids_are_global)
        self.full_proof_hours = 24.0

    def copy(self, folder: Path) -> World:
        """The same lake and index once more."""
        shutil.copytree(self.folder, folder)
        other = World(folder)
        other.target = copy.deepcopy(self.target)
        other.full_proof_hours = self.full_proof_hours
        return other

    def start(self) -> None:
        """Put ten rows and sync them: done once, and copied for every world after that."""
        made = _started(self.target.ids_are_global)
        shutil.copytree(made.folder, self.folder, dirs_exist_ok=True)
        self.lake = open_lake(self.folder)
        for held in ("_claims", "_stored", "_visible", "fuse"):
            setattr(self.target, held, copy.deepcopy(getattr(made.target, held)))

    @property
    def sync(self) -> IndexSync:
        return self.sync_of("run")

    def sync_of(
        self,
        run_id: str,
        progress: Progress = lambda line: None,
        wait_seconds: float = 0,
    ) -> IndexSync:
        return index_sync(
            self.lake,
            self.target,
            self.folder,
            full_proof_hours=self.full_proof_hours,
            wait_seconds=wait_seconds,
            run_id=run_id,
            progress=progress,
        )

    def put(self, *rows: dict[str, Any], delete: tuple[str, ...] = ()) -> None:
        put(self.lake, *rows, delete=delete)
        embed(self.lake)

    def held(self) -> dict[tuple[str, str], str]:
        """What the newest generation holds: (tenant, id) -> text."""
        state = self.sync.states.newest(MODEL)
        assert state is not None
        return {key: row["text"] for key, row in self.target.rows(state.identity).items()}

    def wanted(self) -> dict[tuple[str, str], str]:
        rows = self.lake.chunks.read().to_pylist()
        return {(row["tenant"], row["chunk_id"]): row["text"] for row in rows}

    def versions(self) -> dict[str, int]:
        return {table.spec.name: table.version() for table in self.lake.tables()}

    def assert_equal(self) -> GenerationState:
        """The newest generation is recorded as equal to the lake, and is."""
        state = self.sync.states.newest(MODEL)
        assert state is not None and state.status == "proven"
        assert state.snapshot == self.lake.snapshot()
        assert self.held() == self.wanted()
        assert state.rows == len(self.wanted())
        return state

    def assert_recorded(self) -> GenerationState:
        """What is recorded of the newest generation."""
        state = self.sync.states.newest(MODEL)
        assert state is not None
        return state

    def assert_proven(self) -> None:
        assert self.sync.verify(self.assert_equal()).clean


@cache
def _started(ids_are_global: bool) -> World:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    made = World(Path(folder.name) / "world", ids_are_global=ids_are_global)
    made.put(*ten_rows())
    made.sync.sync(MODEL)
    return made


def ten_rows() -> list[dict[str, Any]]:
    return [chunk(f"s:{i}", f"text {i}", tenant="ab"[i % 2]) for i in range(10)]


def damage(world: World) -> None:
    state = world.sync.states.newest(MODEL)
    assert state is not None
    rows = world.target.rows(state.identity)
    del rows["a", "s:0#0"]
    rows["b", "s:1#0"] = {**rows["b", "s:1#0"], "digest": "0" * 32}
    rows["z", "s:ghost#0"] = {**rows["a", "s:2#0"], "id": "s:ghost#0", "tenant": "z"}
    world.target.damaged(state.identity)


def calls_of(world: World, action: Callable[[World], object]) -> list[str]:
    """Calls that an action makes, tried on a copy."""
    trial = world.copy(world.folder.with_name("trial"))
    trial.target.fuse.reset()
    action(trial)
    return trial.target.fuse.calls
