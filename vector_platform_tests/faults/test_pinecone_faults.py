"""Bad days of the Pinecone-compatible server: refusals, silence, torn connections, late reads.

Belongs here: what the server's knobs can do while a run is under way. A run either succeeds, and
then the index holds the corpus at that very moment, or fails with an error that says that it may
pass; and the next normal run makes it good.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vector_platform.errors import TransientError
from vector_platform.indexes.contract import INDEX_ROW, Generation, IndexUnavailable, Scope
from vector_platform_tests.faults.servers import ServerProcess
from vector_platform_tests.faults.worlds import Runs, World

pytestmark = [pytest.mark.deep, pytest.mark.spread]

ROWS = "/documents/"
UPSERT, DELETE = "documents/upsert$", "documents/delete$"
TORN = {"tear": "before_headers"}
# Longer than a run of this suite waits for an answer.
SILENCE_SECONDS, TIMEOUT_SECONDS = 1.5, 0.5
# Longer than all attempts of one request take.
LATE_SECONDS = 12

DAYS: dict[str, dict[str, Any]] = {
    "every second request is told 429 and when to come back": {
        "faults": [{"match": ROWS, "status": 429, "retry_after": 0.1, "probability": 0.5}]
    },
    "a storm of 429 that does not end": {
        "faults": [{"match": ROWS, "status": 429, "retry_after": 0.1}]
    },
    "a rate limit far below what a run asks": {
        "requests_per_second": {"upsert": 3, "fetch": 3, "delete": 3, "list": 3}
    },
    "errors of the server now and then": {
        "faults": [
            {"match": ROWS, "status": 500, "probability": 0.2},
            {"match": ROWS, "status": 503, "probability": 0.2, "stage": "after"},
            {"match": "namespaces", "status": 502, "probability": 0.1},
        ]
    },
    "fetches that fail until the end": {
        "faults": [{"match": "documents/fetch$", "status": 503, "skip": 3}]
    },
    "silence before writes are applied": {
        "faults": [{"match": UPSERT, "delay_seconds": SILENCE_SECONDS, "times": 2}]
    },
    "silence after writes are applied": {
        "faults": [{"match": UPSERT, "delay_seconds": SILENCE_SECONDS, "stage": "after"}]
    },
    "connections torn before requests are handled": {
        "faults": [{"match": ROWS, "probability": 0.3, **TORN}]
    },
    "connections torn after writes are applied": {
        "faults": [{"match": ROWS, "probability": 0.3, "stage": "after", **TORN}]
    },
    "every deletion is applied and its answer torn": {
        "faults": [{"match": DELETE, "stage": "after", **TORN}]
    },
    "answers torn in the middle": {
        "faults": [{"match": ROWS, "probability": 0.3, "stage": "after", "tear": "in_body"}]
    },
    "writes that fetches and lists show later than searches": {
        "visibility_delay_seconds": {"fetch": [1, 2.5], "search": [0, 0.5]}
    },
    "writes that searches show later than fetches": {
        "visibility_delay_seconds": {"fetch": [0, 0.5], "search": [1, 2.5]}
    },
    "late reads and torn writes": {
        "visibility_delay_seconds": {"fetch": [0, 1], "search": [0, 1]},
        "faults": [{"match": ROWS, "probability": 0.2, "stage": "after", **TORN}],
    },
}


@pytest.fixture
def world(tmp_path: Path, pinecone: ServerProcess, runs: Runs) -> Iterator[World]:
    made = World(tmp_path / "world", pinecone, runs, seed=11)
    yield made
    pinecone.turn()
    made.remove()


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS.keys())
def test_a_bad_day_ends_in_success_or_in_a_clear_failure_and_then_success(
    world: World, day: dict[str, Any]
) -> None:
    world.normal_run()
    struck = 0
    for seed in range(2):
        world.change()
        world.server.turn(seed=seed, **day)
        outcome = world.run(timeout_seconds=TIMEOUT_SECONDS)
        struck += sum(world.server.faults_struck())
        if outcome.kind == "done":
            # Proven means so: whoever looks now sees it. What is slow stays slow; errors would
            # only strike the plain SDK that looks.
            world.server.turn(**{knob: value for knob, value in day.items() if knob != "faults"})
            world.assert_exact()
        else:
            assert outcome.kind == "failed" and outcome.facts["transient"], outcome.facts
            assert outcome.facts["error"] == "IndexUnavailable", outcome.facts
            assert world.newest().status == "syncing"
        world.server.turn()
        [report] = world.normal_run()
        assert report["mode"] == ("none" if outcome.kind == "done" else "full")
        world.assert_equal()
    assert struck or "faults" not in day


def rows(*row_ids: str, tenant: str = "acme") -> Any:
    import pyarrow as pa

    vector = np.ones(4, np.float32) / 2
    plain = dict.fromkeys(("region", "doc_id", "title", "text"), "x")
    listed = [
        {"id": i, "tenant": tenant, "digest": f"of {i}", "vector": vector, "attributes": "{}"}
        | plain
        for i in row_ids
    ]
    return pa.RecordBatch.from_pylist(listed, schema=INDEX_ROW)


@pytest.mark.parametrize("reader", ["fetch", "search"])
def test_a_fence_waits_for_a_write_whose_answer_was_lost(
    pinecone: ServerProcess, reader: str
) -> None:
    """The process lives on, and its next sync need not write to that namespace at all."""
    generation = Generation("lost" + reader, "g0001", "tiny.v1", 4)
    target = pinecone.open(timeout_seconds=5)
    try:
        target.create(generation)
        target.upsert(generation, rows("s:1#0"))
        target.fence(generation)
        pinecone.turn(
            visibility_delay_seconds={reader: LATE_SECONDS},
            faults=[{"match": UPSERT, "stage": "after", **TORN}],
        )
        with pytest.raises(IndexUnavailable) as failure:
            target.upsert(generation, rows("s:lost#0"))
        assert isinstance(failure.value, TransientError)
        pinecone.turn()
        target.fence(generation)
        [keys] = list(target.keys(generation, "acme"))
        assert keys.column("id").to_pylist() == ["s:1#0", "s:lost#0"]
        assert (
            len(target.search(generation, np.ones(4, np.float32), k=5, scope=Scope.of("acme"))) == 2
        )
    finally:
        pinecone.turn()
        target.drop(generation)
        target.close()
