"""What every test runs under: no hub, repeatable properties, no fight for processors, slow first,
and no skip that nobody knows of.

Belongs here: settings of the whole test run. The environment is set while this file is imported,
before any numeric library reads it.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from vector_platform_tests.tiers import TIERS, keep_shard, load_profile, mark, places

# Models come from installed packages; a test that would ask a hub fails at once instead.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the processors; a thread pool in each of them only makes all of them wait.
    for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(pool, "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shard", type=int, help="run the deep tests of this shard, 1 to 5, alone")


def _runs_deep(config: pytest.Config) -> bool:
    return config.option.markexpr == "deep"


def pytest_configure(config: pytest.Config) -> None:
    load_profile(deep=_runs_deep(config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slow files first, so that no worker is left with one of them at the end."""
    mark(items, deep=_runs_deep(config))
    config.stash[TIERS] = places(items)
    shard = config.getoption("--shard")
    if shard is not None:
        keep_shard(config, items, shard)
    items.sort(key=lambda item: item.get_closest_marker("integration") is None)


@pytest.fixture(scope="session", autouse=True)
def quick_databases() -> Iterator[None]:
    """Dagster's databases: its migrations are read once, not for each; nothing waits for a disk."""
    from alembic.script import ScriptDirectory
    from sqlalchemy import Engine, event

    read = ScriptDirectory.from_config
    found: dict[str | None, ScriptDirectory] = {}

    def read_once(config: Any) -> ScriptDirectory:
        folder = config.get_main_option("script_location")
        if folder not in found:
            found[folder] = read(config)
        return found[folder]

    @event.listens_for(Engine, "connect")
    def wait_for_no_disk(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    with mock.patch.object(ScriptDirectory, "from_config", read_once):
        yield
    event.remove(Engine, "connect", wait_for_no_disk)


# What may be missing on a machine. A test that is skipped for another reason never runs anywhere.
MAY_BE_MISSING = (
    r"the (folder|corpus) \.\./shared/data\S* is not there",
    r"the extra openvino is not installed",
    r"botocore is not installed: .*",
    r"the counts are those of botocore \S+, not \S+",
)


def _refuse_other_skips(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped:
        return
    found = report.longrepr
    reason = str(found[2] if isinstance(found, tuple) else found).removeprefix("Skipped: ")
    if not any(re.fullmatch(known, reason) for known in MAY_BE_MISSING):
        report.outcome = "failed"
        report.__dict__.pop("wasxfail", None)
        report.longrepr = (
            f"skipped: {reason!r}. A test that always skips cannot fail: mend it, or name what may "
            "be missing in MAY_BE_MISSING of vector_platform_tests/conftest.py"
        )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """A test that is skipped for a reason that is not listed has failed."""
    outcome = yield
    _refuse_other_skips(outcome.get_result())  # type: ignore[attr-defined]


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """So has a file that skips itself."""
    outcome = yield
    _refuse_other_skips(outcome.get_result())  # type: ignore[attr-defined]
