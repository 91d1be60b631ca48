"""Nobody's rows but ours: another lake on the same backend, and lakes that lost their books."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.indexes.contract import NotOurs, Scope
from vector_platform.indexes.plan import DeleteGuard
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform_tests.integration.conftest import Server, open_index
from vector_platform_tests.integration.ownership.deployment import (
    INDEX_NAMES,
    SIX,
    Deployment,
    another,
)
from vector_platform_tests.lake.building import MODEL, register

pytestmark = pytest.mark.integration


def test_an_empty_second_lake_neither_adopts_nor_empties_the_index(
    ours: Deployment, server: Server
) -> None:
    theirs = another(ours, server)
    register(theirs.lake)
    theirs.lake.chunks.ensure()
    theirs.lake.embeddings.ensure()
    for attempt in (theirs.sync.sync, theirs.sync.build):
        with pytest.raises(NotOurs, match=r"belongs to lake [0-9a-f]{8}.*index adopt"):
            attempt(MODEL)
    assert theirs.sync.states.all() == []
    ours.assert_untouched(SIX)


def test_a_second_lake_with_rows_of_its_own_does_not_touch_the_first_ones(
    ours: Deployment, server: Server
) -> None:
    theirs = another(ours, server)
    theirs.put("t:1", "t:22")
    with pytest.raises(NotOurs, match="belongs to lake"):
        theirs.sync.sync(MODEL)
    ours.assert_untouched(SIX)
    # Under another name both live side by side.
    theirs.index = next(INDEX_NAMES)
    theirs.sync.sync(MODEL)
    theirs.assert_untouched({"t:1", "t:22"})
    ours.assert_untouched(SIX)
    theirs.target.drop(theirs.newest().identity)


def test_a_second_lake_that_has_begun_the_same_generation_is_refused_by_the_backend(
    ours: Deployment, server: Server
) -> None:
    """The books of the two say the same name; only the mark on the backend tells them apart."""
    theirs = another(ours, server)
    theirs.put("t:1")
    model = theirs.lake.model_version(MODEL)
    now = ours.newest().created_at
    state = theirs.sync.states.begin(model, spec="{}", run_id="run", now=now)
    assert (state.generation, state.lake == ours.newest().lake) == ("g0001", False)
    for attempt in (
        lambda: theirs.sync.sync(MODEL),
        lambda: theirs.sync.repair(state),
        lambda: theirs.sync.drop(state),
        lambda: theirs.target.create(state.identity),
        lambda: theirs.target.exists(state.identity),
        lambda: theirs.target.drop(state.identity),
        lambda: theirs.target.point(state.identity),
    ):
        with pytest.raises(NotOurs, match="belongs to lake"):
            attempt()
    ours.assert_untouched(SIX)


def test_another_lakes_rows_are_not_read_either(ours: Deployment, server: Server) -> None:
    """A name is found before a mark is: the first use of a generation looks at whose it is."""
    target = open_index(server)
    stranger = replace(ours.newest().identity, lake="another")
    probe, rows = np.full(stranger.dimension, 0.5, np.float32), [("s:1#0", "a")]
    reads: dict[str, Callable[[], object]] = {
        "search": lambda: target.search(stranger, probe, k=3, scope=Scope.all_tenants()),
        "nearest": lambda: target.nearest(stranger, probe[None, :], k=3, scope=Scope.all_tenants()),
        "tenants": lambda: target.tenants(stranger),
        "count": lambda: target.count(stranger),
        "counts": lambda: target.counts(stranger, ["a"]),
        "scan": lambda: list(target.scan(stranger)),
        "keys": lambda: list(target.keys(stranger, "a")),
        "find": lambda: list(target.find(stranger, rows)),
        "whole_rows": lambda: target.whole_rows(stranger, rows),
        "delete": lambda: target.delete(stranger, rows),
        "fence": lambda: target.fence(stranger),
    }
    try:
        for name, read in reads.items():
            with pytest.raises(NotOurs, match="belongs to lake"):
                read()
                pytest.fail(f"{name} was answered")
    finally:
        target.close()
    ours.assert_untouched(SIX)


def test_a_generation_that_was_emptied_of_its_books_is_still_guarded(
    ours: Deployment, server: Server
) -> None:
    """What the index holds counts, not what the records say it holds."""
    table = ours.lake.index_state
    rows = table.read().to_pylist()
    table.merge(
        pa.Table.from_pylist(
            [row | {"rows": 0, "status": "syncing"} for row in rows], schema=table.spec.schema
        )
    )
    ours.put("s:1", delete=("s:22", "s:3", "s:44", "s:5"))
    with pytest.raises(DeleteGuard, match=r"would delete 4 of 6 rows.*--allow-delete 4"):
        ours.sync.sync(MODEL)
    assert len(ours.holds()) == 6


def test_a_lake_that_lost_its_chunks_empties_nothing_until_a_person_says_so(
    ours: Deployment, server: Server
) -> None:
    ours.put(delete=tuple(SIX))
    sync = IndexSync(replace(ours.sync.context, max_delete_share=1.0))
    with pytest.raises(DeleteGuard, match=r"6 of 6 rows.*the lake is empty"):
        sync.sync(MODEL)
    assert len(ours.holds()) == 6
    assert sync.sync(MODEL, allow_delete=6).deleted == 6
