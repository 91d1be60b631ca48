"""A deployment in somebody's Dagster project, beside others' definitions and another deployment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vector_platform.orchestration import keys
from vector_platform.orchestration.build import build_definitions
from vector_platform.settings import SettingsError
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import MemoryPlatform, settings_of

DAY = "2026-01-09"


@dg.asset(deps=[dg.AssetKey(["one", "lake", "chunks"])])
def mine() -> None:
    """An asset of somebody else, downstream of a deployment."""


@dg.sensor(target=[mine])
def follow_the_lake() -> dg.SkipReason:
    """A sensor that has the name of one of ours."""
    return dg.SkipReason("")


@pytest.fixture(scope="module")
def platforms(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, MemoryPlatform]:
    """Two deployments with a lake each. The dbt project, which knows no prefix, is one."""
    found = {}
    for prefix in ("one", "two"):
        found[prefix] = MemoryPlatform(settings_of(root, key_prefix=prefix))
        found[prefix].lake = building.open_lake(tmp_path_factory.mktemp(prefix))
    return found


@pytest.fixture(scope="module")
def project(platforms: dict[str, MemoryPlatform]) -> dg.Definitions:
    others = dg.Definitions(
        assets=[mine],
        sensors=[follow_the_lake],
        resources={"platform": "another thing"},
        executor=dg.multiprocess_executor,
        loggers={"console": dg.json_console_logger},
    )
    ours = (
        build_definitions(settings=one.settings, resources={"platform": one}, own_executor=False)
        for one in platforms.values()
    )
    return dg.Definitions.merge(others, *ours)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_two_deployments_and_a_project_of_others_load_together(project: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(project)


def test_every_name_of_a_deployment_has_its_prefix(project: dg.Definitions) -> None:
    by_prefix: dict[str, set[str]] = {"one": set(), "two": set()}
    for key in set(project.resolve_all_asset_keys()) - {mine.key}:
        by_prefix[key.path[0]].add("/".join(key.path[1:]))
    assert by_prefix["one"] == by_prefix["two"] > {"raw/notices", "milvus/documents"}
    names: list[str] = [job.name for job in project.jobs or ()]
    names += [sensor.name for sensor in project.sensors or () if sensor is not follow_the_lake]
    names += [schedule.name for schedule in project.schedules or ()]
    names += [name for name in project.resources or () if name != "platform"]
    of = {
        prefix: {name.partition("__")[2] for name in names if name.startswith(f"{prefix}__")}
        for prefix in by_prefix
    }
    assert of["one"] == of["two"] > {"ingest_day", "promote", "follow_the_lake", "platform"}
    assert len(names) == 2 * len(of["one"])


def test_a_deployment_follows_its_own_assets_alone(project: dg.Definitions) -> None:
    graph = project.resolve_asset_graph()
    for prefix in ("one", "two"):
        (sensor,) = (s for s in project.sensors or () if s.name == f"{prefix}__follow_the_lake")
        selection = sensor.asset_selection
        assert selection is not None
        assert {key.path[0] for key in selection.resolve(graph)} == {prefix}


@pytest.mark.parametrize("prefix", ["one", "two"])
def test_a_run_works_on_the_platform_of_its_deployment(
    prefix: str,
    project: dg.Definitions,
    platforms: dict[str, MemoryPlatform],
    instance: dg.DagsterInstance,
) -> None:
    before = {name: one.lake.raw("notices").version() for name, one in platforms.items()}
    key = keys.placed(keys.raw("notices"), platforms[prefix].settings)
    job = project.resolve_implicit_job_def_def_for_assets([key])
    assert job is not None
    done = job.execute_in_process(instance=instance, asset_selection=[key], partition_key=DAY)
    assert done.success
    after = {name: one.lake.raw("notices").version() for name, one in platforms.items()}
    assert {name for name in after if after[name] != before[name]} == {prefix}


def test_a_job_and_a_sensor_work_on_the_platform_of_their_deployment(
    project: dg.Definitions, platforms: dict[str, MemoryPlatform], instance: dg.DagsterInstance
) -> None:
    job = project.resolve_job_def("two__show_releases")
    assert job.execute_in_process(instance=instance).output_for_node("show_op") == {}
    (sensor,) = (s for s in project.sensors or () if s.name == "two__follow_model_versions")
    resource = {"two__platform": (project.resources or {})["two__platform"]}
    context = dg.build_sensor_context(instance=instance, resources=resource)
    requests = sensor.evaluate_tick(context).dynamic_partitions_requests
    assert requests is not None
    added, removed = requests
    assert list(added.partition_keys) == list(platforms["two"].settings.active_models)
    assert list(removed.partition_keys) == []


def test_a_generator_keeps_being_one_under_another_name_of_its_resource(root: Path) -> None:
    settings = settings_of(root, key_prefix="one")

    @keys.of_platform(settings)
    def steps(context: object, platform: dg.ResourceParam[Any]) -> Iterator[Any]:
        yield context, platform

    assert list(steps("context", one__platform="resource")) == [("context", "resource")]


@pytest.mark.parametrize("taken", ["raw", "lake", "milvus", "quality"])
def test_a_prefix_that_hides_in_the_platforms_own_keys_is_refused(taken: str, root: Path) -> None:
    with pytest.raises(SettingsError, match="key_prefix"):
        settings_of(root, key_prefix=taken)
