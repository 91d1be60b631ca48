"""The local Dagster instance: its home in the data folder.

Belongs here: writing `dagster.yaml` and opening the instance. A deployment that has its own
`DAGSTER_HOME` keeps it.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from vector_platform.settings import Settings

# Pools are limited by run, not by op: a run that is killed leaves no slot taken, and the
# platform's own locks already keep a second writer out.
DAGSTER_YAML = """\
telemetry:
  enabled: false
concurrency:
  pools:
    granularity: run
    default_limit: 1
  runs:
    max_concurrent_runs: 2
run_monitoring:
  enabled: true
run_retries:
  enabled: true
  max_retries: 0
"""


def dagster_home(settings: Settings) -> Path:
    """The instance's folder; made, with its `dagster.yaml`, when there is none."""
    if os.environ.get("DAGSTER_HOME"):
        return Path(os.environ["DAGSTER_HOME"])
    home = settings.data_dir / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        config.write_text(DAGSTER_YAML, encoding="utf-8")
    return home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that the UI, the daemon and the CLI share."""
    return dg.DagsterInstance.from_config(str(dagster_home(settings)))
