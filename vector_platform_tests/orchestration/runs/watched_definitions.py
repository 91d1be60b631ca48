"""The platform's definitions, of which only an arrival starts runs and only recovery is looked for.

Belongs here: what daemons of tests load. What follows an ingest has no part in recovery, and would
take its places and its time. In its stead stands a job that takes as long as a test tells it to.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from vector_platform.orchestration.build import build_definitions

SENSORS = {"land_what_arrives", "recover_lost_runs"}


def _root() -> Path:
    return Path(os.environ["VECTOR_PLATFORM_CONFIG"]).parent


@dg.op(pool="waiting")
def wait() -> None:
    """Wait for the file `go`; with the file `hang`, hang once, with a child, and hear nothing."""
    if (hang := _root() / "hang").exists():
        hang.unlink()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        (_root() / "child").write_text(str(child.pid))
        child.wait()
    while not (_root() / "go").exists():
        time.sleep(0.05)


@dg.job
def waiting() -> None:
    wait()


@dg.sensor(job=waiting, minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def start_what_is_asked_for() -> Iterator[dg.RunRequest]:
    """A run for each file in the folder `asked`."""
    for file in sorted((_root() / "asked").glob("*")):
        yield dg.RunRequest(run_key=file.name)


def _watched() -> dg.Definitions:
    everything = build_definitions()
    watching = [one for one in everything.sensors or () if one.name in SENSORS]
    return dg.Definitions(
        assets=everything.assets,
        asset_checks=everything.asset_checks,
        jobs=[*(everything.jobs or ()), waiting],
        sensors=[*watching, start_what_is_asked_for],
        resources=everything.resources,
        executor=everything.executor,
        loggers=everything.loggers,
    )


defs = _watched()
