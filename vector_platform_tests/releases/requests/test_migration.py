from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vector_platform.quality.recall.shadow import NothingToCompare, ShadowQuery
from vector_platform.releases.pointer.live import NothingLive
from vector_platform.releases.requests.migration import MigrationReport, migrate
from vector_platform_tests.releases.deployment import Deployment


@pytest.fixture
def world(twelve: Deployment, tmp_path: Path) -> Deployment:
    return twelve.copy(tmp_path)


def queries(world: Deployment) -> list[ShadowQuery]:
    rows = world.lake.index_rows("old.v1", world.lake.snapshot())
    vectors = [row["vector"] for batch in rows for row in batch.to_pylist()]
    return [ShadowQuery(f"q{i}", np.asarray(v, np.float32), "acme") for i, v in enumerate(vectors)]


def move(
    world: Deployment,
    *,
    release: bool = False,
    asked: list[ShadowQuery] | None = None,
    tell: Callable[[MigrationReport], None] = lambda report: None,
) -> MigrationReport:
    return migrate(
        old=world.target("milvus"),
        old_pointer=world.pointer("milvus"),
        service=world.service("pinecone"),
        queries=queries(world) if asked is None else asked,
        k=5,
        tell=tell,
        release=release,
        actor="ann",
        reason="cheaper",
    )


def go_live(world: Deployment) -> None:
    state = world.sync("milvus").sync("old.v1").generation
    world.pointer("milvus").promote(state, actor="ann", reason="r", evidence={}, run_id="run")


def lose(world: Deployment, count: int) -> None:
    """Take rows out of the old index behind everybody's back."""
    old, live = world.target("milvus"), world.pointer("milvus").live_generation().identity
    old.delete(live, [(row_id, "acme") for _, row_id in sorted(old.rows(live))[:count]])
    old.fence(live)
    assert len(old.rows(live)) == 12 - count


def test_the_new_backend_answers_as_the_old_one_and_no_pointer_moves(world: Deployment) -> None:
    go_live(world)
    embeddings = world.lake.embeddings.version()
    report = move(world)
    assert (report.shadow.overlap, report.shadow.identical) == (1.0, 1.0)
    assert report.shadow.rank_correlation == pytest.approx(1.0)
    assert report.sync.generation.rows == 12
    assert world.pointer("pinecone").live() is None
    assert world.lake.embeddings.version() == embeddings, "a migration embeds nothing"


def test_no_row_is_read_from_the_old_index(world: Deployment) -> None:
    go_live(world)
    asked = queries(world)
    lose(world, 12)
    report = move(world, asked=asked)
    assert report.sync.verification is not None and report.sync.verification.clean
    assert report.sync.generation.rows == 12


def test_release_moves_the_new_backends_pointer_with_the_comparison_as_evidence(
    world: Deployment,
) -> None:
    go_live(world)
    move(world, release=True)
    live = world.pointer("pinecone").live()
    assert live is not None and live.reason == "cheaper"
    (asked,) = [d for d in world.service().store.decisions.about() if d.what == "request"]
    (compared,) = world.lake.evaluations.read(
        where=[("evaluation_id", "in", list(asked.evidence))]
    ).to_pylist()
    assert (compared["kind"], compared["value"]) == ("shadow", 1.0)


def test_a_difference_between_the_answers_is_seen(world: Deployment) -> None:
    go_live(world)
    lose(world, 6)
    shadow = move(world, asked=queries(world)).shadow
    assert shadow.identical < 1.0
    assert shadow.worst[0][1] < 1.0


def test_there_is_nothing_to_migrate_before_a_release_and_nothing_to_compare_without_queries(
    world: Deployment,
) -> None:
    with pytest.raises(NothingLive):
        move(world)
    go_live(world)
    with pytest.raises(NothingToCompare, match="golden_queries"):
        move(world, asked=[])


def test_the_comparison_is_told_before_any_pointer_moves(world: Deployment) -> None:
    go_live(world)
    told: list[tuple[float, bool]] = []
    report = move(
        world,
        release=True,
        tell=lambda report: told.append(
            (report.shadow.overlap, world.pointer("pinecone").live() is None)
        ),
    )
    assert told == [(1.0, True)]
    assert report.release is not None and report.release.moved
    assert world.pointer("pinecone").live() is not None


def test_an_index_that_is_there_already_is_read_back_and_mended(world: Deployment) -> None:
    go_live(world)
    move(world)
    state = world.sync("pinecone").states.newest("old.v1")
    assert state is not None
    rows = world.target("pinecone").rows(state.identity)
    rows.pop(min(rows))
    world.target("pinecone").damaged(state.identity)
    report = move(world)
    assert (report.sync.upserted, report.shadow.overlap) == (1, 1.0)
    again = move(world)
    assert again.sync.mode == "none"
    assert again.sync.verification is not None and again.sync.verification.scope == "all"
