"""The loop from drift to a new generation: check, sensor, job, on one deployment, in order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vector_platform.indexes.naming import collection_name
from vector_platform_tests.integration.deployments import (
    BACKENDS,
    WORDS,
    Deployment,
    running,
)

pytestmark = pytest.mark.integration

DAYS = [date(2026, 1, day) for day in range(5, 8)]
EMBEDDED = f"embeddings and indexes {WORDS}"
DRIFT = "lake/embeddings:distribution_has_not_drifted"
ROWS_A_DAY = 120

SERVERS = {
    "subject": ["The load balancer", "A database replica", "The message queue", "Our cache node"],
    "verb": ["restarts", "rejects connections", "drops packets", "fails its health check"],
    "cause": ["after the deployment", "when memory is full", "behind the proxy", "without logs"],
    "end": ["in region one", "on port 8080", "under heavy traffic", "during failover"],
}
KITCHEN = {
    "subject": ["The sourdough bread", "A lemon risotto", "The pumpkin soup", "Our plum cake"],
    "verb": ["simmers gently", "needs more butter", "rests overnight", "turns golden"],
    "cause": ["with fresh thyme", "beside roasted garlic", "in olive oil", "under brown sugar"],
    "end": ["for six guests", "until dinner", "on a low flame", "before dessert"],
}


NUMBERS = random.Random(0).sample(range(1000), 3 * ROWS_A_DAY)


def add_cases(root: Path, words: dict[str, list[str]], *, day: int) -> None:
    """A day's cases, each of its own text; nothing but the words tells the days apart."""
    drawn = random.Random(day)
    with (root / "cases.jsonl").open("a", encoding="utf-8") as file:
        for number in NUMBERS[day * ROWS_A_DAY : (day + 1) * ROWS_A_DAY]:
            text = " ".join(drawn.choice(part) for part in words.values()) + f", case {number}."
            file.write(json.dumps({"id": f"c{number}", "text": text}) + "\n")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("drift")
    fields = {"key": "id", "text": "text"}
    source = {"kind": "files", "path": "cases.jsonl", "fields": fields}
    with running(root, sources={"cases": source}) as deployment:
        yield deployment


class Ticks:
    """The real sensor `reindex_on_drift`, ticked on the deployment's instance."""

    def __init__(self) -> None:
        self.cursor: str | None = None

    def __call__(self, home: Deployment) -> list[Any]:
        sensor = home.runs.definitions.get_repository_def().get_sensor_def("reindex_on_drift")
        with dg.build_sensor_context(
            instance=home.runs.instance,
            cursor=self.cursor,
            definitions=home.runs.definitions,
        ) as context:
            answer = sensor.evaluate_tick(context)
        self.cursor = answer.cursor
        return list(answer.run_requests or [])


@pytest.fixture(scope="module")
def tick() -> Ticks:
    return Ticks()


def test_more_of_the_same_is_no_drift(home: Deployment, tick: Ticks) -> None:
    for number, day in enumerate(DAYS[:2]):
        add_cases(home.root, SERVERS, day=number)
        stages = home.converge(day)
        assert DRIFT not in stages[EMBEDDED].failed_checks
    assert tick(home) == []


def test_another_domain_is_drift_and_asks_once_for_a_new_generation(
    home: Deployment, tick: Ticks
) -> None:
    add_cases(home.root, KITCHEN, day=2)
    stages = home.converge(DAYS[2])
    assert stages[EMBEDDED].failed_checks == (DRIFT,)
    requests = tick(home)
    assert len(requests) == 1
    assert tick(home) == []
    restarted = Ticks()
    # A sensor that lost its cursor asks under the same key, which Dagster never runs twice.
    assert [request.run_key for request in restarted(home)] == [requests[0].run_key]

    rebuild = home.runs.definitions.resolve_job_def("rebuild_index")
    done = rebuild.execute_in_process(
        instance=home.runs.instance,
        run_config=requests[0].run_config,
        tags=dict(requests[0].tags),
    )
    assert done.success
    for backend in BACKENDS:
        release = home.platform.live_pointer(backend).live()
        assert release is not None
        assert (release.generation, release.actor) == ("g0002", "reindex_on_drift")
        assert home.stored(backend) == home.desired()
        # The generation before stays, for a rollback.
        assert home.platform.target(backend).generation_names("documents") == ["g0001", "g0002"]
    assert not any(stage.changed for stage in home.converge(DAYS[2]).values())


def test_generations_before_the_previous_one_are_collected(home: Deployment) -> None:
    done = home.cli("index", "rebuild", "--model", WORDS, "--reason", "once more")
    assert done.code == 0, done.err
    for backend in BACKENDS:
        assert home.platform.target(backend).generation_names("documents") == ["g0002", "g0003"]
        assert home.stored(backend) == home.desired()
    old = next(state for state in home.states("milvus").all() if state.generation == "g0001")
    assert old.status == "dropped"
    client = home.milvus()
    assert not client.has_collection(collection_name(old.identity))
    client.close()
