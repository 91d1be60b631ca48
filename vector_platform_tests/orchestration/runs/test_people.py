"""Who answers for a run: the person whom the deployment names, and a reason that says why."""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import getpass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from vector_platform.orchestration.runs.instance import dagster_home
from vector_platform.orchestration.runs.jobs import (
    ACTOR_TAG,
    AskedFor,
    NoReason,
    actor_of,
    one_op_job,
)
from vector_platform.orchestration.runs.launcher import NamingRunCoordinator
from vector_platform.wiring import Platform, load_settings


def platform(root: Path, **runs: str) -> Platform:
    described = {
        "start_date": "2026-01-01",
        "sources": {"notes": {"kind": "files", "path": "notes"}},
        "models": {"words.v1": {"package": "wordllama", "kind": "static"}},
        "runs": runs,
    }
    file = root / "platform.yaml"
    file.write_text(yaml.safe_dump(described))
    return Platform(load_settings(file, {}))


@one_op_job("ask")
def told(config: AskedFor, platform: dg.ResourceParam[Platform]) -> str:
    """Say who asks."""
    return f"{config.actor}: {config.reason}"


def answer(root: Path, config: dict[str, Any], tags: dict[str, str] | None = None) -> str:
    done = told.execute_in_process(
        run_config={"ops": {"ask": {"config": config}}},
        resources={"platform": platform(root, user="deployment")},
        tags=tags or {},
    )
    value: str = done.output_for_node("ask")
    return value


def test_who_launches_answers_unless_a_sensor_or_a_verb_says_who(tmp_path: Path) -> None:
    assert answer(tmp_path, {"reason": "r"}) == "deployment: r"
    assert answer(tmp_path, {"reason": "r", "actor": "a_sensor"}) == "a_sensor: r"
    signed_in = {ACTOR_TAG: "ann"}
    assert answer(tmp_path, {"reason": "r", "actor": "somebody else"}, signed_in) == "ann: r"
    assert actor_of(dg.DagsterRun("job"), "", platform(tmp_path).settings) == getpass.getuser()


def test_a_run_without_a_reason_is_refused(tmp_path: Path) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="reason"):
        answer(tmp_path, {})
    for said in (" ", "...", "\n-"):
        with pytest.raises(dg.Failure, match="`reason` is required"):
            answer(tmp_path, {"reason": said})
    assert issubclass(NoReason, Exception)


class _Request:
    """What the queue knows of who launches: a run, and the headers of a request."""

    def __init__(self, run: dg.DagsterRun, headers: dict[str, str]) -> None:
        self.dagster_run, self.headers = run, headers
        self.workspace = None

    def get_request_header(self, key: str) -> str | None:
        return self.headers.get(key)


@pytest.mark.parametrize(
    ("typed", "headers", "named"),
    [
        ({}, {"X-User": "ann"}, "ann"),
        ({ACTOR_TAG: "bob"}, {"X-User": "ann"}, "ann"),
        ({ACTOR_TAG: "bob"}, {}, ""),
        ({}, {}, None),
    ],
    ids=["signed in", "another name typed", "a name typed, not signed in", "a sensor"],
)
def test_the_name_is_that_of_the_request_and_never_one_that_was_typed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: dict[str, str],
    headers: dict[str, str],
    named: str | None,
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home = dagster_home(platform(tmp_path, user_header="X-User").settings)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        coordinator = instance.run_coordinator
        assert isinstance(coordinator, NamingRunCoordinator)
        config = {"ops": {"ask": {"config": {"reason": "r"}}}}
        run = instance.create_run_for_job(
            told, tags=typed, run_config=config, status=dg.DagsterRunStatus.STARTING
        )
        request: Any = _Request(run, headers)
        queued = coordinator.submit_run(request)
        assert queued.tags.get(ACTOR_TAG) == named
        kept = instance.get_run_by_id(run.run_id)
        assert kept is not None and kept.tags.get(ACTOR_TAG) == named


def test_without_a_header_the_queue_is_dagsters_own(tmp_path: Path) -> None:
    assert (
        "run_coordinator"
        not in (dagster_home(platform(tmp_path).settings) / "dagster.yaml").read_text()
    )
