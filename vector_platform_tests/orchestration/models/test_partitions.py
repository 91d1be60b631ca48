"""Model versions are partitions as soon as they are made, in definitions that nobody reloads."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from vector_platform.models.local_versions import keep_model, retire_model, write_card
from vector_platform.orchestration import keys
from vector_platform.orchestration.build import build_definitions
from vector_platform.orchestration.check_results import newest_results
from vector_platform.orchestration.launch import Runs
from vector_platform.orchestration.partitions import follow_models, model_versions
from vector_platform.remediation import checks
from vector_platform.settings import Settings
from vector_platform.wiring import Platform
from vector_platform_tests.orchestration.acting import World
from vector_platform_tests.orchestration.harness import (
    INDEXES,
    NEW,
    OLD,
    READERS,
    STATIC,
    Automation,
    asked_for,
    settings_of,
    write_deployment,
)

MADE = "words.made"


def make(settings: Settings) -> None:
    """A model version of the platform's own, as its jobs write one."""
    keep_model(
        settings.data_dir,
        MADE,
        settings=STATIC | {"max_tokens": 64},
        fill=lambda folder: write_card(folder, {"made_by": "test"}),
    )


def registered(settings: Settings, instance: dg.DagsterInstance) -> set[str]:
    name = model_versions(settings).name
    assert name is not None
    return set(instance.get_dynamic_partitions(name))


@pytest.mark.deep
@pytest.mark.usefixtures("local_versions")
def test_a_version_that_is_made_is_asked_for_alone_and_one_that_is_retired_no_more(
    automation: Automation,
) -> None:
    automation.demo()
    automation.settle()
    make(automation.settings)
    platform = Platform(automation.settings)
    follow_models(platform, automation.instance)
    asked = asked_for(automation.settle())
    assert set(asked) == {("lake/embeddings", MADE), *((name, MADE) for name in READERS)}
    assert len(asked) == len(set(asked))
    automation.land("2026-01-10")
    followed = asked_for(automation.settle())
    assert {model for name, model in followed if name in INDEXES} == {OLD, NEW, MADE}
    retire_model(automation.settings.data_dir, MADE)
    follow_models(platform, automation.instance)
    automation.land("2026-01-08")
    after = asked_for(automation.settle())
    assert {model for name, model in after if name in INDEXES} == {OLD, NEW}


def test_a_version_that_is_made_is_embedded_indexed_and_checked_by_the_loaded_definitions(
    world: World,
) -> None:
    platform = world()
    with dg.DagsterInstance.ephemeral() as instance:
        runs = Runs(platform, instance=instance)
        make(platform.settings)
        follow_models(platform, instance)
        assert registered(platform.settings, instance) == {OLD, NEW, MADE}
        milvus = keys.index("milvus", platform.settings)
        runs.materialize([keys.EMBEDDINGS, milvus], partition=MADE)
        matches = dg.AssetCheckKey(milvus, checks.PARITY)
        assert newest_results(instance, [matches], partition=MADE)[matches].passed
    assert platform.index_sync("milvus", run_id="test").sync(MADE).generation.rows == 6
    assert platform.lake.count_missing(MADE, platform.lake.snapshot()) == 0


def test_a_sensor_registers_what_a_killed_process_has_left(world: World) -> None:
    platform = world()
    sensor = build_definitions(
        settings=platform.settings, resources={"platform": platform}
    ).resolve_sensor_def("follow_model_versions")
    with dg.DagsterInstance.ephemeral() as instance:
        name = model_versions(platform.settings).name
        assert name is not None
        instance.add_dynamic_partitions(name, [OLD, "words.gone"])

        def tick() -> dg.SensorResult | dg.SkipReason:
            context = dg.build_sensor_context(instance=instance, resources={"platform": platform})
            found = sensor(context)
            assert isinstance(found, dg.SensorResult | dg.SkipReason)
            return found

        make(platform.settings)
        found = tick()
        assert isinstance(found, dg.SensorResult)
        add, delete = found.dynamic_partitions_requests or ()
        assert set(add.partition_keys) == {NEW, MADE}
        assert list(delete.partition_keys) == ["words.gone"]
        instance.add_dynamic_partitions(name, list(add.partition_keys))
        instance.delete_dynamic_partition(name, "words.gone")
        assert isinstance(tick(), dg.SkipReason)


def test_two_deployments_of_one_instance_do_not_share_versions(tmp_path: Path) -> None:
    first = settings_of(write_deployment(tmp_path / "first"), models={OLD: STATIC})
    second = settings_of(write_deployment(tmp_path / "second"), models={NEW: STATIC})
    with dg.DagsterInstance.ephemeral() as instance:
        for settings in (first, second):
            follow_models(Platform(settings), instance)
        assert registered(first, instance) == {OLD}
        assert registered(second, instance) == {NEW}


def test_building_the_definitions_registers_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    build_definitions(settings=settings)
    assert [file.name for file in tmp_path.iterdir()] == ["dagster.yaml"]
    with dg.DagsterInstance.get() as instance:
        assert registered(settings, instance) == set()
