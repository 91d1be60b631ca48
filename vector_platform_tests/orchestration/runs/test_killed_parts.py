"""One process of several is killed, hangs, or holds the database: the others and its runs go on.

Belongs here: real processes, each fault in a deployment of its own. Kills of everything at once
are in `test_daemon.py`.
"""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import psutil
import pytest

from vector_platform_tests.orchestration.runs.daemons import (
    UNFINISHED,
    Deployment,
    deployed,
)
from vector_platform_tests.orchestration.ui.webserver import WebServer

pytestmark = [pytest.mark.deep, pytest.mark.spread]

STARTED, SUCCESS, FAILURE = (
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
)
# Longer than Dagster waits for a database that is busy (30 s), so that its writers fail.
BUSY_SECONDS = 35.0


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with deployed(tmp_path / "home") as found:
        yield found


def processes(deployment: Deployment, words: str) -> list[psutil.Process]:
    """Those of the deployment whose command line has these words."""
    return [one for one in deployment.tree() if words in " ".join(one.cmdline())]


@pytest.mark.parametrize("victim", ["multiprocessing.spawn", "dagster api grpc"])
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, STARTED], ids=str)
def test_a_worker_or_a_code_server_that_is_killed_costs_nothing_but_time(
    deployment: Deployment, victim: str, status: dg.DagsterRunStatus
) -> None:
    deployment.start_daemon()
    killed = deployment.dropped_run(lambda run: run.status is status)
    for process in processes(deployment, victim):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    print(f"{victim} killed while {status.value}: {deployment.converged(killed):.0f} s")


def test_a_run_over_its_maximum_is_ended_with_all_it_started_and_started_once_more(
    tmp_path: Path,
) -> None:
    seconds = 20.0
    with deployed(tmp_path / "home", runs={"max_hours": seconds / 3600}) as deployment:
        (deployment.root / "hang").touch()
        deployment.start_daemon()
        deployment.ask("one")
        child_file = deployment.root / "child"
        deployment.until(lambda: child_file.exists() and child_file.read_text())
        child = psutil.Process(int(child_file.read_text()))
        (hung,) = deployment.waits(STARTED)
        deployment.ask("two")
        deployment.go_on()
        took = deployment.until(
            lambda: len(deployment.waits(SUCCESS)) == 2 and not deployment.waits(*UNFINISHED)
        )
        ended = deployment.instance.get_run_by_id(hung.run_id)
        assert ended is not None and ended.status is FAILURE
        assert not child.is_running()
        # The one that hung, its only retry, and the one that had waited for its place.
        again = [run for run in deployment.waits() if run.parent_run_id == hung.run_id]
        assert [run.status for run in again] == [SUCCESS]
        assert len(deployment.waits()) == 3
        print(
            f"ended, started again and done after {took:.0f} s, of which {seconds:.0f} were given"
        )


def test_a_database_that_is_busy_for_longer_than_it_is_waited_for_loses_no_run(
    deployment: Deployment,
) -> None:
    deployment.start_daemon()
    deployment.ask("one")
    deployment.until(lambda: deployment.waits(STARTED))
    (run,) = deployment.waits(STARTED)
    folder = deployment.settings.data_dir / "dagster" / "history" / "runs"
    files = [folder.with_suffix(".db"), folder / "index.db", folder / f"{run.run_id}.db"]
    with ExitStack() as held:
        for file in files:
            assert file.exists()
            database = held.enter_context(sqlite3.connect(file, timeout=60))
            database.execute("BEGIN EXCLUSIVE")
            held.callback(database.rollback)
        # The run wants to write that it has gone on, and another is asked for.
        deployment.go_on()
        deployment.ask("two")
        time.sleep(BUSY_SECONDS)  # the fault itself: how long somebody else has the database
    deployment.until(
        lambda: len(deployment.waits(SUCCESS)) >= 2 and not deployment.waits(*UNFINISHED)
    )
    again = [one for one in deployment.waits() if one.parent_run_id == run.run_id]
    assert len(again) <= 1, deployment.state()
    assert len(deployment.waits(SUCCESS)) == 2


def test_a_web_server_and_its_code_server_that_are_killed_come_back_by_themselves(
    deployment: Deployment,
) -> None:
    server = WebServer()
    launched: list[str] = []

    def launch() -> bool:
        launched.extend(server.launch("waiting").run_ids)
        return bool(launched)

    ui = deployment.start("vector-platform", "ui", "--port", str(server.port))
    deployment.until(launch)
    first = launched.pop()
    deployment.until(lambda: deployment.waits(STARTED))
    (killed,) = processes(deployment, "dagster-webserver")
    killed.kill()
    took = deployment.until(lambda: server.status(first) == "STARTED")
    print(f"the web server answers again after {took:.0f} s")
    (anew,) = processes(deployment, "dagster-webserver")
    assert anew.pid != killed.pid
    deployment.go_on()
    deployment.until(lambda: server.status(first) == "SUCCESS")
    assert len(deployment.waits()) == 1

    for code_server in psutil.Process(anew.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            code_server.kill()
    took = deployment.until(launch)
    print(f"it launches runs again {took:.0f} s after its code server was killed")
    deployment.until(lambda: server.status(launched[-1]) == "SUCCESS")
    ui.send_signal(signal.SIGINT)
    ui.wait(60)
