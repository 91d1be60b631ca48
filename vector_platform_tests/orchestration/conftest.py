"""Deployments that several files of tests share.

Belongs here: the tiny deployment of all tests of automation, whose dbt project is parsed once a
session, and the world in which sensors act.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vector_platform.orchestration.runs import retries
from vector_platform.remediation import checks
from vector_platform.settings import OWN_MODELS, Settings
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.acting import World
from vector_platform_tests.orchestration.harness import (
    NEW,
    OLD,
    Automation,
    MemoryPlatform,
    settings_of,
    write_deployment,
)
from vector_platform_tests.orchestration.pages import unreadable
from vector_platform_tests.orchestration.releasing import Service
from vector_platform_tests.orchestration.verdicts import BACKENDS, Says, record_checks, well


@pytest.fixture(autouse=True)
def readable_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test runs, its assets and checks can be read in the UI."""
    events: list[dg.DagsterEvent] = []
    execute = dg.JobDefinition.execute_in_process

    def run(job: dg.JobDefinition, *given: Any, **named: Any) -> dg.ExecuteInProcessResult:
        done = execute(job, *given, **named)
        # Those are of assets that a test makes up.
        if "ephemeral" not in job.name:
            events.extend(done.all_events)
        return done

    monkeypatch.setattr(dg.JobDefinition, "execute_in_process", run)
    yield
    assert list(unreadable(events)) == []


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_deployment(tmp_path_factory.mktemp("deployment") / "home")


@pytest.fixture
def settings(root: Path) -> Settings:
    return settings_of(root)


@pytest.fixture
def automation(settings: Settings) -> Automation:
    return Automation(settings)


@pytest.fixture
def local_versions(root: Path) -> Iterator[None]:
    """Model versions made by a test are gone after it.

    The data folder is that of all tests, so that the dbt project is parsed once.
    """
    yield
    shutil.rmtree(settings_of(root).data_dir / OWN_MODELS, ignore_errors=True)


@dataclass(frozen=True)
class Indexed:
    """A lake with six chunks under two model versions, and its indexes."""

    folder: Path
    memory: dict[str, MemoryIndex]


@pytest.fixture(scope="session")
def indexed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    folder = tmp_path_factory.mktemp("indexed")
    platform = MemoryPlatform(settings_of(root))
    _fill(platform, folder)
    return Indexed(folder, platform.memory)


def _fill(platform: MemoryPlatform, folder: Path) -> None:
    platform.lake = building.open_lake(folder)
    building.put(platform.lake, *(building.chunk(f"guides:{n}", f"text {n}") for n in range(6)))
    for model_version in (OLD, NEW):
        building.embed(platform.lake, model_version)
        for backend in BACKENDS:
            platform.index_sync(backend, run_id="test").sync(model_version)


@pytest.fixture
def world(root: Path, tmp_path: Path, local_versions: None, indexed: Indexed) -> World:
    """A deployment with six chunks under two model versions, each with a live index."""

    def build(**changes: Any) -> MemoryPlatform:
        platform = MemoryPlatform(settings_of(root, **changes))
        if "indexes" in changes:
            _fill(platform, tmp_path)
        else:
            shutil.copytree(indexed.folder / "lake", tmp_path / "lake")
            platform.lake = building.open_lake(tmp_path)
            platform.memory = copy.deepcopy(indexed.memory)
        return platform

    return build


@pytest.fixture
def bare(root: Path, tmp_path: Path, local_versions: None) -> World:
    """A deployment whose lake holds nothing yet: for ticks whose runs are not executed."""

    def build(**changes: Any) -> MemoryPlatform:
        platform = MemoryPlatform(settings_of(root, **changes))
        platform.lake = building.open_lake(tmp_path)
        return platform

    return build


@pytest.fixture
def platform(world: World) -> MemoryPlatform:
    return world()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory, in which every check of every model version has passed once."""
    with dg.DagsterInstance.ephemeral() as instance:
        record_checks(instance, None, Says(checks.CHUNKS))
        for model_version in (OLD, NEW):
            record_checks(instance, model_version, *well())
        yield instance


@pytest.fixture(scope="session")
def first_service(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(root, tmp_path_factory.mktemp("service"))


@pytest.fixture
def service(root: Path, tmp_path: Path, first_service: Service) -> Service:
    return Service(root, tmp_path, made=first_service)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0)
