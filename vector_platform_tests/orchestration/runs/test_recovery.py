"""Runs whose process is killed: found by the lock that ended with it, and out of the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import yaml

from vector_platform.orchestration.runs import liveness
from vector_platform.orchestration.runs.instance import dagster_yaml, open_instance
from vector_platform.orchestration.runs.launcher import WatchedRunLauncher
from vector_platform.orchestration.runs.recovery import end_abandoned_runs
from vector_platform.orchestration.runs.retries import TRIED_AGAIN
from vector_platform.settings import Settings
from vector_platform_tests.orchestration.harness import settings_of, write_deployment

CHECKOUT = Path(__file__).parents[3]

# A process that executes a run as the command line does, and stays in its step until it is killed.
WORKER = """
import sys
from pathlib import Path
import dagster as dg
from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.orchestration.runs.liveness import hold
from vector_platform.wiring import load_settings

@dg.op
def stays():
    print("in the step", flush=True)
    sys.stdin.read()

@dg.job
def staying():
    stays()

with open_instance(load_settings(Path(sys.argv[1]), {})) as instance:
    if sys.argv[3] == "holding":
        hold(instance, sys.argv[2])
    staying.execute_in_process(instance=instance, run_id=sys.argv[2])
"""
RUN = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return settings_of(write_deployment(tmp_path / "home"), runs={"max_hours": 2})


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as opened:
        yield opened


@contextmanager
def executing(settings: Settings, *, holding: bool = True) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a step."""
    file = settings.root / "platform.yaml"
    how = "holding" if holding else "not holding"
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(file), RUN, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert "in the step" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_run_whose_process_was_killed_is_ended_by_the_next_command_and_by_the_daemon(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    with executing(settings) as process:
        run = instance.get_run_by_id(RUN)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.STARTED
        assert end_abandoned_runs(instance) == []
        assert launcher.check_run_worker_health(run).status.value == "RUNNING"
        process.kill()
        process.wait()
        assert launcher.check_run_worker_health(run).status.value == "NOT_FOUND"
        assert end_abandoned_runs(instance) == [RUN]
    ended = instance.get_run_by_id(RUN)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert end_abandoned_runs(instance) == []


def test_a_run_that_says_nothing_of_its_process_is_ended_after_the_time_of_a_start(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    with executing(settings, holding=False):
        assert end_abandoned_runs(instance) == []
        monkeypatch.setattr(liveness, "TAKING_SECONDS", 0.0)
        assert end_abandoned_runs(instance) == [RUN]


def test_the_instance_watches_runs_bounds_them_and_tries_killed_ones_again(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert instance.run_launcher.supports_check_run_worker_health
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_runtime_seconds == 7200
    # A start that failed, a look, and a second look are over in three minutes.
    waits = instance.run_monitoring_start_timeout_seconds
    assert waits + 2 * instance.run_monitoring_poll_interval_seconds < 180
    assert instance.run_retries_max_retries > 0
    assert not instance.run_retries_retry_on_asset_or_op_failure
    assert TRIED_AGAIN["dagster/retry_on_asset_or_op_failure"] == "true"


def test_a_dagster_yaml_of_before_is_written_as_the_settings_have_it(settings: Settings) -> None:
    with open_instance(settings):
        pass
    file = settings.data_dir / "dagster" / "dagster.yaml"
    wanted = file.read_text(encoding="utf-8")
    file.write_text("run_monitoring:\n  enabled: false\n", encoding="utf-8")
    with open_instance(settings) as opened:
        assert opened.run_monitoring_enabled
    assert file.read_text(encoding="utf-8") == wanted


def test_the_containers_instance_is_the_laptops_with_its_storage_in_the_volume(
    settings: Settings,
) -> None:
    """What recovers runs is written once here and once there: nothing may differ by oversight."""
    usual = settings.model_copy(update={"runs": type(settings.runs)()})
    ours = yaml.safe_load(dagster_yaml(usual))
    theirs = yaml.safe_load((CHECKOUT / "docker" / "dagster.yaml").read_text(encoding="utf-8"))
    places = {name: theirs.pop(name) for name in ("storage", "local_artifact_storage")}
    places["compute_logs"] = theirs.pop("compute_logs")
    assert theirs == ours
    volume = "/opt/vector_platform/.vector_platform/"
    told = [place.get("config", place.get("sqlite"))["base_dir"] for place in places.values()]
    assert [place.startswith(volume) for place in told] == [True] * 3
