"""What every test runs under: no hub, repeatable properties, no fight for processors, slow first.

Belongs here: settings of the whole test run. Does not belong here: fixtures of one room. The
environment is set while this file is imported, before any numeric library reads it.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Models come from installed packages; a test that would ask a hub fails at once instead.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the processors; a thread pool in each of them only makes all of them wait.
    for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(pool, "1")

# A failure can be run again as it was, and a busy machine fails no test for being slow.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow files first, so that no worker is left with one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is None)
