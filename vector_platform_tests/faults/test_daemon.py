"""The daemon and everything it started, killed at any moment of a run: it comes back by itself.

Belongs here: real daemons on a deployment of their own. What a kill does to data is in
`test_kills.py`; here it is about runs, slots and the next run.
"""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest

from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.settings import Settings
from vector_platform_tests.orchestration.harness import settings_of

pytestmark = pytest.mark.deep

# The bar of recovery, and what one wait of a test may take before that.
CONVERGED_SECONDS = 180.0
WAIT_SECONDS = 240.0
# Events that a run has written when everything is killed: it writes about as many.
MOMENTS = tuple(range(1, 21))
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
WORKSPACE = """\
load_from:
  - python_module: {module_name: vector_platform.definitions, location_name: vector_platform}
"""


class Daemon:
    """A deployment of one watched folder, and the daemon on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "inbox").mkdir(parents=True)
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
        )
        (root / "workspace.yaml").write_text(WORKSPACE, encoding="utf-8")
        self.instance = open_instance(self.settings)
        self.process: subprocess.Popen[bytes] | None = None
        self._files = 0
        # What follows an ingest has no part in this, and would take the slots of its runs.
        self._dagster("sensor", "stop", "follow_the_lake")

    def _dagster(self, *arguments: str) -> None:
        subprocess.run(
            [
                str(Path(sys.executable).parent / "dagster"),
                *arguments,
                "--workspace",
                str(self.root / "workspace.yaml"),
            ],
            cwd=self.root,
            env=self._environment(),
            check=True,
            capture_output=True,
        )

    def _environment(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("VECTOR_PLATFORM")}
        return own | {
            "VECTOR_PLATFORM_CONFIG": str(self.root / "platform.yaml"),
            "DAGSTER_HOME": str(self.settings.data_dir / "dagster"),
        }

    def start(self) -> None:
        with (self.root / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(Path(sys.executable).parent / "dagster-daemon"),
                    "run",
                    "--workspace",
                    str(self.root / "workspace.yaml"),
                ],
                cwd=self.root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def tree(self) -> list[psutil.Process]:
        """The daemon, its code server, and the processes of runs."""
        if self.process is None or self.process.poll() is not None:
            return []
        daemon = psutil.Process(self.process.pid)
        return [daemon, *daemon.children(recursive=True)]

    def kill(self) -> None:
        """The whole tree at once, as a host that goes down."""
        tree = self.tree()
        for process in tree:
            process.suspend()
        for process in tree:
            process.kill()
        psutil.wait_procs(tree, WAIT_SECONDS)
        if self.process is not None:
            self.process.wait()
        self.process = None

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None
        self.instance.dispose()

    def drop(self) -> None:
        """A file arrives, which asks for a run of `ingest_day`."""
        self._files += 1
        hidden = self.root / "inbox" / f".{self._files}"
        with hidden.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "body"])
            writer.writerows([f"{self._files}-{n}", f"Note {n}"] for n in range(20))
        hidden.rename(self.root / "inbox" / f"{self._files}.csv")

    def ingests(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        return list(
            self.instance.get_runs(
                dg.RunsFilter(job_name="ingest_day", statuses=list(statuses) or None)
            )
        )

    def events(self, run: dg.DagsterRun) -> int:
        return len(self.instance.all_logs(run.run_id))

    def state(self) -> str:
        """Every ingest and what became of it, then the end of the daemon's log."""
        runs = [
            f"{run.run_id} {run.status.value} {dict(run.tags)} after {self.events(run)} events"
            for run in self.ingests()
        ]
        log = (self.root / "daemon.log").read_text(encoding="utf-8")
        return "\n".join([*runs, log[-4000:]])

    def until(self, what: Callable[[], object]) -> float:
        """Wait for something of the instance; seconds."""
        began = time.monotonic()
        while not what():
            assert time.monotonic() - began < WAIT_SECONDS, self.state()
            time.sleep(0.02)
        return time.monotonic() - began


@contextmanager
def daemon_of(root: Path) -> Iterator[Daemon]:
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("DAGSTER_HOME", raising=False)
        daemon = Daemon(root)
        try:
            yield daemon
        finally:
            daemon.stop()


def _killed_in_a_run(daemon: Daemon, events: int) -> dg.DagsterRun:
    """Kill everything once the next ingest has written so many events."""
    known = {run.run_id for run in daemon.ingests()}
    daemon.drop()

    def fresh() -> dg.DagsterRun | None:
        return next((run for run in daemon.ingests() if run.run_id not in known), None)

    daemon.until(
        lambda: (run := fresh()) is not None and (daemon.events(run) >= events or run.is_finished)
    )
    daemon.kill()
    run = fresh()
    assert run is not None
    return run


def _converged(daemon: Daemon, killed: dg.DagsterRun) -> float:
    """Seconds until the killed run has ended, its work is done, and another run succeeds."""

    def reconciled() -> bool:
        run = daemon.instance.get_run_by_id(killed.run_id)
        return run is not None and run.is_finished and not daemon.ingests(*UNFINISHED)

    def done() -> bool:
        group = daemon.instance.get_run_group(killed.run_id)
        runs = group[1] if group else ()
        # A run that was killed after its last step has nothing left to be started again for.
        return any(run.status is dg.DagsterRunStatus.SUCCESS for run in runs) or bool(
            daemon.instance.all_logs(killed.run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)
        )

    seconds = daemon.until(lambda: reconciled() and done())
    before = {run.run_id for run in daemon.ingests()}
    daemon.drop()
    return seconds + daemon.until(
        lambda: any(run.run_id not in before for run in daemon.ingests(dg.DagsterRunStatus.SUCCESS))
    )


def test_the_whole_tree_killed_at_twenty_moments_of_a_run_comes_back_by_itself(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seconds = []
    with daemon_of(tmp_path / "home") as daemon:
        for moment in MOMENTS:
            daemon.start()
            killed = _killed_in_a_run(daemon, moment)
            daemon.start()
            seconds.append(_converged(daemon, killed))
            daemon.kill()
    record_property("seconds to convergence", [round(one) for one in seconds])
    print("seconds to convergence:", [round(one) for one in seconds])
    assert max(seconds) < CONVERGED_SECONDS


def test_a_killed_worker_a_killed_code_server_and_a_busy_database_pass_by_themselves(
    tmp_path: Path,
) -> None:
    with daemon_of(tmp_path / "home") as daemon:
        daemon.start()
        for victim in ("multiprocessing.spawn", "dagster api grpc"):
            known = {run.run_id for run in daemon.ingests()}
            daemon.drop()
            daemon.until(
                lambda known=known: any(
                    run.run_id not in known for run in daemon.ingests(dg.DagsterRunStatus.STARTED)
                )
            )
            (killed,) = (run for run in daemon.ingests() if run.run_id not in known)
            for process in daemon.tree():
                with_arguments = " ".join(process.cmdline())
                if victim in with_arguments.replace("-m dagster", "dagster"):
                    process.kill()
            assert _converged(daemon, killed) < CONVERGED_SECONDS, victim
        runs = daemon.settings.data_dir / "dagster" / "history" / "runs.db"
        assert runs.exists()
        with sqlite3.connect(runs) as database:
            database.execute("BEGIN EXCLUSIVE")
            daemon.drop()
            time.sleep(20)  # the fault itself: how long somebody else holds the database
            database.rollback()
        known = {run.run_id for run in daemon.ingests(dg.DagsterRunStatus.SUCCESS)}
        daemon.drop()
        daemon.until(
            lambda: (
                any(run.run_id not in known for run in daemon.ingests(dg.DagsterRunStatus.SUCCESS))
                and not daemon.ingests(*UNFINISHED)
            )
        )
