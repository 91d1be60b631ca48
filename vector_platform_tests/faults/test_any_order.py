"""Anything in any order, crashes and damage included: after one run the index equals the lake.

Belongs here: the state machine, and what it drives: the index in memory, and the two backends
with processes that are killed. A run after damage is a repair, which compares everything; all
others are the plain sync.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform_tests.faults import corpus as corpora
from vector_platform_tests.faults.corpus import TENANTS, Corpus
from vector_platform_tests.faults.servers import PLAIN, ServerProcess
from vector_platform_tests.faults.worlds import Runs, World
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake.building import MODEL, open_lake
from vector_platform_tests.syncing import index_sync

pytestmark = pytest.mark.spread

SIZE = 20
MODELS = [MODEL, "small.v2", "large.v3"]
SEEDS = st.integers(0, 2**32 - 1)


class Deployment(Protocol):
    """What the machine drives."""

    corpus: Corpus
    models: list[str]

    def set(self, corpus: Corpus) -> None: ...
    def crash(self, step: int) -> None: ...
    def damage(self, kind: str, rng: random.Random) -> None: ...
    def heal(self, *, repair: bool) -> None: ...
    def assert_equal(self) -> None: ...
    def remove(self) -> None: ...


def damaged(row: dict[str, Any], kind: str) -> dict[str, Any]:
    """What somebody writes instead of a row, or beside it."""
    other = TENANTS[(TENANTS.index(row["tenant"]) + 1) % len(TENANTS)]
    changes: dict[str, dict[str, Any]] = {
        "forge": {"digest": "forged"},
        "add": {"id": f"evil:{row['id']}"},
        "copy to another tenant": {"tenant": other},
        "turn the vector": {"vector": [-float(x) for x in row["vector"]]},
    }
    return row | changes[kind]


KINDS = st.sampled_from(["delete", "forge", "add", "copy to another tenant", "turn the vector"])


class AnyOrder(RuleBasedStateMachine):
    def __init__(self, make: Callable[[], Deployment]) -> None:
        super().__init__()
        self.world = make()
        self.is_damaged = False
        self.has_run = False
        self.indexed = self.world.corpus

    def _change(self, seed: int, change: Callable[..., dict[str, Any]]) -> None:
        rng, corpus = random.Random(seed), dict(self.world.corpus)
        for row_id in rng.sample(sorted(corpus), min(3, len(corpus))):
            corpus[row_id] = change(corpus[row_id], rng)
        self.world.set(corpus)

    @rule(seed=SEEDS)
    def add_documents(self, seed: int) -> None:
        self.world.set(self.world.corpus | corpora.first_corpus(random.Random(seed), 4))

    @rule(seed=SEEDS)
    def change_texts(self, seed: int) -> None:
        self._change(seed, corpora.new_text)

    @rule(seed=SEEDS)
    def change_attributes(self, seed: int) -> None:
        self._change(seed, corpora.new_attributes)

    @rule(seed=SEEDS)
    def move_to_other_tenants(self, seed: int) -> None:
        self._change(seed, corpora.new_tenant)

    @rule(seed=SEEDS)
    def delete_documents(self, seed: int) -> None:
        corpus = dict(self.world.corpus)
        for row_id in random.Random(seed).sample(sorted(corpus), min(4, len(corpus) - 1)):
            del corpus[row_id]
        self.world.set(corpus)

    @precondition(lambda self: self.has_run)
    @rule()
    def take_all_changes_back(self) -> None:
        """What a crashed run wrote is then in no difference between two proven snapshots."""
        self.world.set(self.indexed)

    @precondition(lambda self: len(self.world.models) < len(MODELS))
    @rule()
    def add_a_model_version(self) -> None:
        self.world.models = MODELS[: len(self.world.models) + 1]

    @rule(step=st.integers(1, 24))
    def crash(self, step: int) -> None:
        self.world.crash(step)

    @precondition(lambda self: self.has_run)
    @rule(kind=KINDS, seed=SEEDS)
    def damage(self, kind: str, seed: int) -> None:
        self.world.damage(kind, random.Random(seed))
        self.is_damaged = True

    @rule()
    def run(self) -> None:
        self.world.heal(repair=self.is_damaged)
        self.is_damaged, self.has_run = False, True
        self.indexed = self.world.corpus
        self.world.assert_equal()

    def teardown(self) -> None:
        try:
            self.run()
        finally:
            self.world.remove()


class RealDeployment(World):
    """A backend in a process of its own, runs in others; a crash is a SIGKILL."""

    def crash(self, step: int) -> None:
        assert self.run(kill_at=step, allow_delete=SIZE * 100).kind in ("killed", "done")

    def damage(self, kind: str, rng: random.Random) -> None:
        plain = PLAIN[self.server.backend](self.server.url)
        try:
            generation = self.newest().identity
            rows = sorted(plain.rows(generation), key=lambda row: str(row["id"]))
            chosen = rng.sample(rows, min(3, len(rows)))
            if kind == "delete":
                plain.remove(generation, chosen)
            else:
                plain.write(generation, [damaged(row, kind) for row in chosen])
        finally:
            plain.close()

    def heal(self, *, repair: bool) -> None:
        outcome = self.run("repair" if repair else "run", allow_delete=SIZE * 100)
        assert outcome.kind == "done", (outcome.facts, outcome.lines[-5:])


class MemoryDeployment:
    """The index in memory; a crash is a call that fails, before or after it took effect."""

    def __init__(self, folder: Path, *, ids_are_global: bool) -> None:
        self.folder = folder
        self.lake = open_lake(folder)
        self.target = MemoryIndex(ids_are_global=ids_are_global)
        self.models = [MODEL]
        self.corpus: Corpus = corpora.first_corpus(random.Random(5), SIZE)

    @property
    def sync(self) -> IndexSync:
        return index_sync(self.lake, self.target, self.folder)

    def set(self, corpus: Corpus) -> None:
        self.corpus = corpus

    def crash(self, step: int) -> None:
        corpora.publish(self.lake, self.corpus, self.models)
        self.target.fuse.reset(1 + step // 2, applied=step % 2 == 0)
        try:
            self._sync(repair=False)
        except IndexUnavailable:
            pass
        finally:
            self.target.fuse.reset()

    def damage(self, kind: str, rng: random.Random) -> None:
        state = self.sync.states.newest(MODEL)
        assert state is not None
        if not self.target.exists(state.identity):
            return  # nothing there to damage
        stored = self.target.rows(state.identity)
        for key in rng.sample(sorted(stored), min(3, len(stored))):
            if kind == "delete":
                del stored[key]
                continue
            row = damaged(stored[key], kind)
            stored[row["tenant"], row["id"]] = row
            if kind == "copy to another tenant" and self.target.ids_are_global:
                del stored[key]
        self.target.damaged(state.identity)

    def heal(self, *, repair: bool) -> None:
        corpora.publish(self.lake, self.corpus, self.models)
        self._sync(repair=repair)

    def _sync(self, *, repair: bool) -> None:
        for model in self.models:
            state = self.sync.states.newest(model)
            if repair and state is not None:
                self.sync.repair(state, allow_delete=SIZE * 100)
            else:
                self.sync.sync(model, allow_delete=SIZE * 100)

    def assert_equal(self) -> None:
        wanted = {(row["tenant"], row["chunk_id"]): row["text"] for row in self.corpus.values()}
        for model in self.models:
            state = self.sync.states.newest(model)
            assert state is not None and state.status == "proven"
            held = self.target.rows(state.identity)
            assert {key: row["text"] for key, row in held.items()} == wanted
            assert self.sync.verify(state, self.lake.snapshot()).clean

    def remove(self) -> None:
        """Nothing outlives the folder."""


def drive(make: Callable[[], Deployment], *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: AnyOrder(make),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.deep
@pytest.mark.parametrize("ids_are_global", [False, True], ids=["ids per tenant", "global ids"])
def test_in_memory_anything_in_any_order_is_made_good(tmp_path: Path, ids_are_global: bool) -> None:
    numbers = itertools.count()
    drive(
        lambda: MemoryDeployment(tmp_path / str(next(numbers)), ids_are_global=ids_are_global),
        examples=10,
        steps=12,
    )


@pytest.mark.deep
def test_on_a_real_backend_anything_in_any_order_is_made_good(
    tmp_path: Path, server: ServerProcess, runs: Runs
) -> None:
    numbers = itertools.count()

    def make() -> RealDeployment:
        made = RealDeployment(tmp_path / str(next(numbers)), server, runs, seed=3)
        made.set(corpora.first_corpus(random.Random(5), SIZE))
        return made

    drive(make, examples=6, steps=12)
