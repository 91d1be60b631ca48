"""The loop from drift to a new generation: check, sensor, job, on one deployment, in order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vector_platform.indexes.naming import collection_name
from vector_platform.orchestration.converge import StageResult
from vector_platform_tests.integration.deployments import (
    BACKENDS,
    WORDS,
    Deployment,
    running,
)

pytestmark = pytest.mark.integration

# The first landing brings the reference days, which lie before it, and one day more.
DAYS = [date(2026, 2, day) for day in range(5, 8)]
REFERENCE_DAYS = 28
EMBEDDED = f"embeddings and indexes {WORDS}"
DRIFT = "lake/embeddings:distribution_has_not_drifted"
ROWS_A_DAY = 60

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


def add_cases(root: Path, words: dict[str, list[str]], day: date) -> None:
    """A day's cases, each of its own text; nothing but the words tells the days apart."""
    drawn = random.Random(day.toordinal())
    with (root / "cases.jsonl").open("a", encoding="utf-8") as file:
        for number in range(ROWS_A_DAY):
            case = f"{day:%m%d}-{number}"
            text = " ".join(drawn.choice(part) for part in words.values())
            row = {"id": case, "text": f"{text}, case {drawn.random():.6f}.", "at": f"{day}T12:00Z"}
            file.write(json.dumps(row) + "\n")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("drift")
    for back in range(REFERENCE_DAYS, 0, -1):
        add_cases(root, SERVERS, DAYS[0] - timedelta(days=back))
    fields = {"key": "id", "text": "text", "time": "at"}
    source = {"kind": "files", "path": "cases.jsonl", "fields": fields}
    with running(
        root,
        start_date=DAYS[0].isoformat(),
        sources={"cases": source},
        quality={"drift_reference_days": REFERENCE_DAYS},
    ) as deployment:
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


def verdict_of(home: Deployment, stage: StageResult) -> dict[str, Any]:
    """Metadata of the drift check in the run of a stage."""
    for record in home.runs.instance.all_logs(stage.run_id):
        event = record.dagster_event
        if event and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if found.check_name == DRIFT.partition(":")[2]:
                return {name: value.value for name, value in found.metadata.items()}
    raise AssertionError(f"{stage.name} did not evaluate {DRIFT}")


@pytest.fixture(scope="module")
def tick() -> Ticks:
    return Ticks()


def test_more_of_the_same_is_no_drift(home: Deployment, tick: Ticks) -> None:
    for day in DAYS[:2]:
        add_cases(home.root, SERVERS, day)
        stages = home.converge(day)
        assert DRIFT not in stages[EMBEDDED].failed_checks
        verdict = verdict_of(home, stages[EMBEDDED])
        assert verdict["outcome"] == "stable"
        assert verdict["reference_days"] == REFERENCE_DAYS
    assert tick(home) == []


def test_another_domain_is_drift_and_asks_once_for_a_new_generation(
    home: Deployment, tick: Ticks
) -> None:
    add_cases(home.root, KITCHEN, DAYS[2])
    stages = home.converge(DAYS[2])
    assert stages[EMBEDDED].failed_checks == (DRIFT,)
    verdict = verdict_of(home, stages[EMBEDDED])
    assert verdict["global_alarm"] and verdict["acts"]
    assert verdict["window_days"] == 1 and verdict["new_mass_low"] > 0.5
    (cell, *_) = verdict["what_moved"]["cells"]
    assert all("0207-" in example for example in cell["examples"])
    assert {"timeline", "picture"} <= set(verdict)
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
