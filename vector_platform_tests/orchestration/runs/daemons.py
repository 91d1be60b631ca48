"""A deployment of one watched folder with real processes on it: the daemon, the web server.

Belongs here: starting and killing them, and waiting for what becomes of runs.
"""

from __future__ import annotations

import contextlib
import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from vector_platform.lake.lake import Lake
from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.settings import Settings
from vector_platform_tests.orchestration.harness import settings_of

# The bar of recovery on a machine that has time. Recovery is three programs that start, so on one
# with several times the work that it has processors for, it takes as many times longer.
CONVERGED_SECONDS = 180.0
MOST_LOAD = 4.0
ROWS_A_FILE = 20
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
WORKSPACE = """\
load_from:
  - python_module:
      module_name: vector_platform_tests.orchestration.runs.watched_definitions
      location_name: vector_platform
"""
SCRIPTS = Path(sys.executable).parent


def bar() -> float:
    """Seconds that a recovery may take on this machine at this time."""
    load = os.getloadavg()[1] / (os.cpu_count() or 1)
    return CONVERGED_SECONDS * min(max(load, 1.0), MOST_LOAD)


class Deployment:
    """A deployment of one watched folder, and what is started on it.

    Args:
        root: Its folder, made.
        changes: Of its settings.
    """

    def __init__(self, root: Path, **changes: Any) -> None:
        self.root = root
        for folder in ("inbox", "asked"):
            (root / folder).mkdir(parents=True)
        fields = {"key": "id", "text": "body"}
        watched = {
            "kind": "files",
            "path": "inbox",
            "format": "csv",
            "watch": True,
            "fields": fields,
        }
        self.settings: Settings = settings_of(
            root,
            sources={"notes": watched},
            golden_queries={},
            indexes={"pinecone": None, "milvus": {"uri": "http://127.0.0.1:9"}},
            schedules={"sensor_seconds": 5},
            **changes,
        )
        (root / "workspace.yaml").write_text(WORKSPACE, encoding="utf-8")
        self.instance = open_instance(self.settings)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._files = 0

    def _environment(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("VECTOR_PLATFORM")}
        return own | {
            "VECTOR_PLATFORM_CONFIG": str(self.root / "platform.yaml"),
            "DAGSTER_HOME": str(self.settings.data_dir / "dagster"),
        }

    def start_daemon(self) -> subprocess.Popen[bytes]:
        return self.start("dagster-daemon", "run", "-w", str(self.root / "workspace.yaml"))

    def start(self, script: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program of the environment in a session of its own."""
        with (self.root / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                [str(SCRIPTS / script), *arguments],
                cwd=self.root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def tree(self) -> list[psutil.Process]:
        """Everything that was started: servers, their code servers, and the processes of runs."""
        found = []
        for process in self._processes:
            if process.poll() is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    top = psutil.Process(process.pid)
                    found += [top, *top.children(recursive=True)]
        return found

    def kill(self) -> None:
        """Everything at once, as a host that goes down."""
        tree = self.tree()
        # Some end by themselves between the look at them and the signal.
        for signal in (psutil.Process.suspend, psutil.Process.kill):
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    signal(process)
        psutil.wait_procs(tree, CONVERGED_SECONDS)
        for started in self._processes:
            started.wait()
        self._processes.clear()

    def stop(self) -> None:
        self.kill()
        self.instance.dispose()

    def drop(self) -> None:
        """A file arrives, which asks for a run of `ingest_day`."""
        self._files += 1
        hidden = self.root / "inbox" / f".{self._files}"
        with hidden.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "body"])
            writer.writerows([f"{self._files}-{n}", f"Note {n}"] for n in range(ROWS_A_FILE))
        hidden.rename(self.root / "inbox" / f"{self._files}.csv")

    def ingests(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        return list(
            self.instance.get_runs(
                dg.RunsFilter(job_name="ingest_day", statuses=list(statuses) or None)
            )
        )

    def events(self, run: dg.DagsterRun) -> int:
        return len(self.instance.all_logs(run.run_id))

    def dropped_run(self, until: Callable[[dg.DagsterRun], bool]) -> dg.DagsterRun:
        """Drop a file, and wait until its run is so far, or has ended."""
        known = {run.run_id for run in self.ingests()}
        self.drop()

        def fresh() -> dg.DagsterRun | None:
            return next((run for run in self.ingests() if run.run_id not in known), None)

        self.until(lambda: (run := fresh()) is not None and (run.is_finished or until(run)))
        run = fresh()
        assert run is not None
        return run

    def converged(self, killed: dg.DagsterRun) -> float:
        """Seconds until a killed run has ended, its work is done, and so is that of another.

        The other run is asked for at once: it waits for the place that the killed one has. Where
        the killed one was not reading yet, it lands the other's file, too.
        """
        self.drop()

        def done() -> bool:
            group = self.instance.get_run_group(killed.run_id)
            runs = {run.run_id: run for run in (group[1] if group else ())}
            succeeded = {run.run_id for run in self.ingests(dg.DagsterRunStatus.SUCCESS)}
            # A run that was killed after its last step has nothing left to be started again for.
            is_done = not succeeded.isdisjoint(runs) or bool(
                self.instance.all_logs(killed.run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)
            )
            return is_done and not self.ingests(*UNFINISHED) and self._has_landed_all()

        seconds = self.until(done)
        # It was found, and not given up because time went by.
        said = self.instance.all_logs(killed.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        assert not [one.message for one in said if "timed out" in one.message], self.state()
        children = [run for run in self.ingests() if run.parent_run_id == killed.run_id]
        assert len(children) <= 1, f"started twice: {self.state()}"
        return seconds

    def _has_landed_all(self) -> bool:
        """Whether every row of every file that has arrived is in the lake, once."""
        return Lake(self.settings.lake_uri).raw("notes").rows() == self._files * ROWS_A_FILE

    def ask(self, name: str) -> None:
        """Ask for a run of `waiting`, which ends when it is told to go on."""
        (self.root / "asked" / name).touch()

    def go_on(self) -> None:
        (self.root / "go").touch()

    def waits(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        """Runs of `waiting`."""
        return list(
            self.instance.get_runs(
                dg.RunsFilter(job_name="waiting", statuses=list(statuses) or None)
            )
        )

    def state(self) -> str:
        """Every run and what became of it, then the end of what the processes said."""
        runs = [
            f"{run.run_id} {run.status.value} {dict(run.tags)} after {self.events(run)} events"
            for run in self.instance.get_runs()
        ]
        log = (self.root / "processes.log").read_text(encoding="utf-8")
        return "\n".join([*runs, log[-4000:]])

    def until(self, what: Callable[[], object]) -> float:
        """Wait for something of the instance, as long as a recovery may take; seconds."""
        began, most = time.monotonic(), bar()
        while not what():
            assert time.monotonic() - began < most, self.state()
            time.sleep(0.02)
        return time.monotonic() - began


@contextmanager
def deployed(root: Path, **changes: Any) -> Iterator[Deployment]:
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("DAGSTER_HOME", raising=False)
        deployment = Deployment(root, **changes)
        try:
            yield deployment
        finally:
            deployment.stop()
