"""Runs whose process is killed: found by the lock that ended with it, and out of the way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import psutil
import pytest
import yaml
from filelock import FileLock

from vector_platform.orchestration.dagster_internals import GRPC_INFO_TAG
from vector_platform.orchestration.runs import liveness
from vector_platform.orchestration.runs.instance import dagster_yaml, open_instance
from vector_platform.orchestration.runs.launcher import WatchedRunLauncher, _HoldingExecutor
from vector_platform.orchestration.runs.liveness import LAUNCHER_TAG, launcher_tags
from vector_platform.orchestration.runs.processes import started_by_runs
from vector_platform.orchestration.runs.recovery import (
    LEAVING_SECONDS,
    end_abandoned_runs,
    end_stray_processes,
)
from vector_platform.orchestration.runs.retries import TRIED_AGAIN
from vector_platform.settings import Settings
from vector_platform.wiring import Platform
from vector_platform_tests.orchestration.harness import settings_of, write_deployment

CHECKOUT = Path(__file__).parents[3]

# A process that executes a run as the command line does, and stays in its step until it is killed.
WORKER = """
import subprocess
import sys
from pathlib import Path
import dagster as dg
from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.orchestration.runs.liveness import hold
from vector_platform.wiring import load_settings

@dg.op
def stays():
    # Should nobody end it, it ends by itself.
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
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
        children = started_by_runs()[RUN]
        process.kill()
        process.wait()
        assert launcher.check_run_worker_health(run).status.value == "NOT_FOUND"
        assert end_stray_processes(instance) == []
        assert end_abandoned_runs(instance) == [RUN]
        # What it had started, such as a dbt build, is not in the way of the run that follows.
        assert end_stray_processes(instance) == [RUN]
        assert psutil.wait_procs(children, timeout=10)[1] == []
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


@dg.job
def starting() -> None:
    pass


def launched(instance: dg.DagsterInstance, **tags: str) -> str:
    """A run that the daemon has begun to start."""
    run = instance.create_run_for_job(starting, tags=tags)
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.PIPELINE_STARTING.value, job_name="starting"
    )
    instance.report_dagster_event(event, run_id=run.run_id)
    return str(run.run_id)


def asked(
    instance: dg.DagsterInstance, address: dict[str, Any], host: str = socket.gethostname()
) -> str:
    """A run that the code server of an address was asked to start."""
    run_id = launched(instance)
    tags = {LAUNCHER_TAG: f"{host}:{run_id}", GRPC_INFO_TAG: json.dumps(address)}
    instance.add_run_tags(run_id, tags)
    return run_id


def test_a_run_whose_start_died_with_its_code_server_is_ended_at_once(
    instance: dg.DagsterInstance,
) -> None:
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as local:
        name = str(Path(short) / "s")
        local.bind(name)
        local.listen()
        with socket.create_server(("127.0.0.1", 0)) as remote:
            port = remote.getsockname()[1]
            on_socket = asked(instance, {"host": "localhost", "socket": name})
            on_port = asked(instance, {"host": "127.0.0.1", "port": port})
            elsewhere = asked(instance, {"socket": "/none"}, host="another")
            # Servers that take a connection and answer nothing are busy.
            assert end_abandoned_runs(instance) == []
        local.close()
        assert sorted(end_abandoned_runs(instance)) == sorted([on_socket, on_port])
        removed = asked(instance, {"host": "localhost", "socket": "/none"})
        assert end_abandoned_runs(instance) == [removed]
    left = instance.get_run_by_id(elsewhere)
    assert left is not None and left.status is dg.DagsterRunStatus.STARTING


def test_a_retry_is_not_taken_for_the_run_that_died_before_it(
    instance: dg.DagsterInstance,
) -> None:
    """Dagster gives it the tags of that run, which name a code server that is gone."""
    dead = asked(instance, {"host": "localhost", "socket": "/none"})
    before = instance.get_run_by_id(dead)
    assert before is not None
    retry = launched(instance, **before.tags)
    assert end_abandoned_runs(instance) == [dead]
    instance.add_run_tags(retry, launcher_tags(retry))
    assert end_abandoned_runs(instance) == []


def test_a_run_that_nobody_was_asked_to_start_is_ended_after_the_time_of_a_start(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = launched(instance)
    assert end_abandoned_runs(instance) == []
    monkeypatch.setattr(liveness, "TAKING_SECONDS", -1.0)
    assert end_abandoned_runs(instance) == [run_id]


def test_a_lock_has_its_name_only_once_it_is_held_and_is_taken_once(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look between the making of a file and its locking would take a living run for dead."""
    held = []
    link = os.link

    def looked_at(source: Path, target: Path) -> None:
        held.append(liveness.is_held(instance, RUN))
        link(source, target)
        held.append(liveness.is_held(instance, RUN))

    monkeypatch.setattr(os, "link", looked_at)
    liveness.hold(instance, RUN)
    try:
        assert held == [False, True]
        assert liveness.held_runs(instance) == [RUN]
        with pytest.raises(liveness.RunIsTaken):
            liveness.hold(instance, RUN)
        assert liveness.is_held(instance, RUN)
    finally:
        liveness.let_go(RUN)
    # Nor after its holder has ended: its run was given up, and is another one's now.
    with pytest.raises(liveness.RunIsTaken):
        liveness.hold(instance, RUN)
    assert [file.name for file in liveness._file(instance, RUN).parent.iterdir()] == [RUN]


def test_whoever_looks_or_tidies_up_is_not_in_the_way_of_who_takes_a_lock(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the taking of a lock and its name, others look for strays, and take theirs."""
    other = "99999999-2222-4333-8444-555555555555"
    acquire = FileLock.acquire

    def meanwhile(lock: FileLock, *args: Any, **kwargs: Any) -> Any:
        if Path(lock.lock_file).name == f".{RUN}":
            Path(lock.lock_file).touch()
            assert end_stray_processes(instance) == []
            liveness.hold(instance, other)
        return acquire(lock, *args, **kwargs)

    monkeypatch.setattr(FileLock, "acquire", meanwhile)
    liveness.hold(instance, RUN)
    assert liveness.held_runs(instance) == [RUN, other]
    for run_id in (RUN, other):
        liveness.let_go(run_id)
    unnamed = liveness._file(instance, RUN).with_name(f".{RUN}")
    unnamed.touch()
    liveness.hold(instance, "77777777-2222-4333-8444-555555555555")
    liveness.let_go("77777777-2222-4333-8444-555555555555")
    assert unnamed.exists()


def test_a_run_that_was_given_up_while_its_process_was_loading_is_not_executed(
    settings: Settings,
    instance: dg.DagsterInstance,
) -> None:
    run = instance.create_run_for_job(starting, status=dg.DagsterRunStatus.STARTING)
    instance.report_run_failed(run, "given up")
    inner: Any = SimpleNamespace(execute=lambda *_: iter(["executed"]))
    executor = _HoldingExecutor(inner, Platform(settings))
    context = SimpleNamespace(dagster_run=run, instance=instance)
    with pytest.raises(liveness.RunIsTaken, match="given up"):
        list(executor.execute(context, None))
    liveness.let_go(run.run_id)


def test_a_process_that_goes_on_after_its_run_has_ended_is_ended_with_all_it_started(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    with executing(settings) as process:
        top = psutil.Process(process.pid)
        tree = [top, *top.children(recursive=True)]
        assert len(tree) > 1
        run = instance.get_run_by_id(RUN)
        assert run is not None
        later = time.time() + 2 * LEAVING_SECONDS
        assert end_stray_processes(instance, later) == []
        instance.report_run_failed(run, "given up")
        assert end_stray_processes(instance) == []
        assert end_stray_processes(instance, later) == [RUN]
        process.wait(timeout=60)
        _, alive = psutil.wait_procs(tree, timeout=10)
        assert alive == []
        assert end_stray_processes(instance, later) == []


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
