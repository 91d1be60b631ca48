"""A deployment as `init` makes it, run once, with its web server and daemon.

Belongs here: making and ending it, and waiting for runs. Sensors and schedules are left out: what
is launched in a test is all that runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from vector_platform.lake.lake import Lake
from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.settings import Settings
from vector_platform.wiring import load_settings
from vector_platform_tests.orchestration.runs.daemons import bar
from vector_platform_tests.orchestration.ui.webserver import WebServer

FIRST, SECOND = "wordllama-256.v1", "wordllama-256.v2"
MODELS = f"""
models:
  {SECOND}: {{package: wordllama, kind: static, max_tokens: 128}}
"""
DEFINITIONS = """\
import dagster as dg
from vector_platform.orchestration.build import build_definitions


def launched() -> dg.Definitions:
    everything = build_definitions()
    return dg.Definitions(
        assets=everything.assets,
        asset_checks=everything.asset_checks,
        jobs=everything.jobs,
        resources=everything.resources,
        executor=everything.executor,
        loggers=everything.loggers,
    )


defs = launched()
"""
SCRIPTS = Path(sys.executable).parent


class Deployment:
    """A template's deployment of two model versions, of which the first is live.

    Args:
        home: Where it is made.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.server = WebServer()
        self._own = {k: v for k, v in os.environ.items() if not k.startswith("VECTOR_PLATFORM")}
        self._own["VECTOR_PLATFORM_CONFIG"] = str(home / "platform.yaml")
        self._own.pop("DAGSTER_HOME", None)
        self.says("init", str(home), "--template", "csv", cwd=home.parent)
        (home / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")
        self.says("run")
        config = home / "platform.yaml"
        text, second = config.read_text(encoding="utf-8"), MODELS.strip()
        config.write_text(text.replace("\nmodels:\n", f"\n{second}\n"), encoding="utf-8")
        self.says("run")
        self.settings: Settings = load_settings(config, {})
        self.lake = Lake(self.settings.lake_uri)
        self.instance: dg.DagsterInstance = open_instance(self.settings)

    def says(self, *words: str, cwd: Path | None = None) -> str:
        """What a verb of the command line says; it has to end well."""
        done = subprocess.run(
            [str(SCRIPTS / "vector-platform"), *words],
            cwd=cwd or self.home,
            env=self._own,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def open(self) -> Iterator[None]:
        """With the web server and the daemon."""
        log = self.home / "ui.log"
        with log.open("wb") as said:
            ui = subprocess.Popen(
                [str(SCRIPTS / "vector-platform"), "ui", "--port", str(self.server.port)],
                cwd=self.home,
                env=self._own,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.until(lambda: self.server.defaults("promote") is not None)
            yield
        finally:
            ui.send_signal(signal.SIGINT)
            ui.wait(60)

    def until(self, what: Callable[[], object]) -> None:
        """Wait for something, as long as a recovery may take."""
        began, most = time.monotonic(), bar()
        while not what():
            log = (self.home / "ui.log").read_text(encoding="utf-8")
            assert time.monotonic() - began < most, log[-4000:]
            time.sleep(0.1)

    def ended(self, run_id: str) -> str:
        """`SUCCESS`, or what a run failed with, once it has ended."""
        self.until(lambda: self.server.status(run_id) in {"SUCCESS", "FAILURE", "CANCELED"})
        status = self.server.status(run_id)
        if status == "SUCCESS":
            return status
        failed = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        said = [one.dagster_event.step_failure_data for one in failed if one.dagster_event]
        return "; ".join(
            f"{one.user_failure_data.description if one.user_failure_data else ''} {one.error}"
            for one in said
        )

    def close(self) -> None:
        self.instance.dispose()
        self.says("services", "down")


@contextmanager
def deployed(home: Path) -> Iterator[Deployment]:
    deployment = Deployment(home)
    try:
        with deployment.open():
            yield deployment
    finally:
        deployment.close()
