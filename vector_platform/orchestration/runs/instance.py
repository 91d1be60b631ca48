"""The local Dagster instance: its home in the data folder.

Belongs here: writing `dagster.yaml` and opening the instance. A deployment that has its own
`DAGSTER_HOME` keeps it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import dagster as dg

from vector_platform.settings import Settings

# A run that is starting gets this long. A start that has died is found in another way
# (`liveness.py`); this ends one that hangs, and that is to be over within three minutes. On a
# machine with thirteen times the work that it has processors for, imports took 80 seconds.
STARTING_SECONDS = 150

# A run that is told to end gets this long.
PATIENCE_SECONDS = 60

# How often the daemon asks whether the processes of runs are there. A look costs a file each.
LOOK_SECONDS = 10

# Pools are limited by run, not by op: a run that is killed leaves no slot taken, and the
# platform's own locks already keep a second writer out. Steps retry by the type of their error
# (`retries.py`); a whole run is started once more only when its process was killed.
DAGSTER_YAML = """\
# Written by vector_platform whenever it starts. For one of your own, set DAGSTER_HOME.
telemetry:
  enabled: false
# No newsletter is offered in front of the pages.
nux:
  enabled: false
concurrency:
  pools:
    granularity: run
    default_limit: 1
  runs:
    max_concurrent_runs: 2
run_launcher:
  module: vector_platform.orchestration.runs.launcher
  class: WatchedRunLauncher
{coordinator}run_monitoring:
  enabled: true
  poll_interval_seconds: {look}
  start_timeout_seconds: {starting}
  cancel_timeout_seconds: {patience}
  max_runtime_seconds: {max_seconds}
  free_slots_after_run_end_seconds: {patience}
run_retries:
  enabled: true
  max_retries: 3
  retry_on_asset_or_op_failure: false
"""


# Where people are named by a header, the queue writes it down.
COORDINATOR_YAML = """\
run_coordinator:
  module: vector_platform.orchestration.runs.launcher
  class: NamingRunCoordinator
  config:
    user_header: {header}
"""


def dagster_home(settings: Settings) -> Path:
    """The instance's folder, made, with its `dagster.yaml` as the settings have it."""
    if os.environ.get("DAGSTER_HOME"):
        return Path(os.environ["DAGSTER_HOME"])
    home = settings.data_dir / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    wanted = dagster_yaml(settings)
    if not config.exists() or config.read_text(encoding="utf-8") != wanted:
        # Others may be reading it.
        handle, name = tempfile.mkstemp(dir=home, prefix=".dagster.yaml.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(wanted)
        Path(name).replace(config)
    return home


def dagster_yaml(settings: Settings) -> str:
    """The configuration of the instance of a deployment."""
    header = settings.runs.user_header
    return DAGSTER_YAML.format(
        coordinator=COORDINATOR_YAML.format(header=json.dumps(header)) if header else "",
        look=LOOK_SECONDS,
        starting=STARTING_SECONDS,
        patience=PATIENCE_SECONDS,
        max_seconds=max(1, round(settings.runs.max_hours * 3600)),
    )


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that the UI, the daemon and the CLI share."""
    return dg.DagsterInstance.from_config(str(dagster_home(settings)))
