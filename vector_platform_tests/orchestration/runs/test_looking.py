"""The look before a run of the UI: what it touches, told at its start, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from vector_platform.orchestration import keys
from vector_platform.orchestration.runs import launcher, looking, retries
from vector_platform.orchestration.runs.looking import PARTITION_TAG, require_sound
from vector_platform.preflight import Preflight, WouldFail
from vector_platform.problems import Problem
from vector_platform.wiring import Platform, load_settings

INDEX = dg.AssetKey(["milvus", "documents"])


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A deployment with a source, a model and a server that are not there."""
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0)
    described = {
        "start_date": "2026-01-01",
        "sources": {"notes": {"kind": "files", "path": "nowhere"}},
        "models": {
            "gone.v1": {"path": "gone", "kind": "static"},
            "words.v1": {"package": "wordllama", "kind": "static"},
        },
        "indexes": {"pinecone": None},
    }
    file = tmp_path / "platform.yaml"
    file.write_text(yaml.safe_dump(described))
    return Platform(load_settings(file, {}))


def run_of(*assets: dg.AssetKey, partition: str | None = None) -> dg.DagsterRun:
    tags = {PARTITION_TAG: partition} if partition else {}
    return dg.DagsterRun("job", "run", asset_selection=frozenset(assets) or None, tags=tags)


def test_a_run_that_would_fail_names_all_that_it_would_fail_for(platform: Platform) -> None:
    with pytest.raises(WouldFail) as caught:
        require_sound(platform, run_of(keys.EMBEDDINGS, INDEX, partition="gone.v1"))
    said = str(caught.value)
    assert "this run: 2 problem(s)" in said
    assert "models.gone.v1: path 'gone' is no folder" in said
    assert "indexes.milvus: the embedded milvus server is not running" in said
    assert "vector-platform services up" in said


@pytest.mark.parametrize(
    "run",
    [
        run_of(keys.EMBEDDINGS, partition="words.v1"),
        run_of(keys.raw("notes")),
        run_of(),
    ],
    ids=["another model", "a source, whose step tells", "a job of ops"],
)
def test_a_run_is_not_stopped_by_what_it_does_not_touch(
    platform: Platform, run: dg.DagsterRun
) -> None:
    require_sound(platform, run)


@pytest.mark.parametrize(
    ("away", "passes"), [(retries.RETRIES, True), (retries.RETRIES + 1, False)]
)
def test_who_is_away_for_a_moment_is_asked_again_as_often_as_a_step_is_tried(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, away: int, passes: bool
) -> None:
    absent = Preflight([Problem(("indexes", "milvus"), "does not answer", passing=True)])
    looks = iter([absent] * away + [Preflight()])
    monkeypatch.setattr(looking, "look_at_parts", lambda platform, wanted: next(looks))
    if passes:
        require_sound(platform, run_of(INDEX))
    else:
        with pytest.raises(WouldFail, match="does not answer"):
            require_sound(platform, run_of(INDEX))


def test_nothing_of_a_run_begins_before_the_look(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Inner:
        def execute(self, context: Any, plan: Any) -> Iterator[str]:
            yield "a step"

    class Context:
        instance = dg.DagsterInstance.ephemeral()

    monkeypatch.setattr(launcher, "hold", lambda instance, run_id: None)
    executor = launcher._HoldingExecutor(Inner(), platform)  # type: ignore[arg-type]
    for run, works in ((run_of(), True), (run_of(INDEX), False)):
        context: Any = Context()
        context.dagster_run = context.instance.add_run(
            dg.DagsterRun("job", asset_selection=run.asset_selection)
        )
        if works:
            assert list(executor.execute(context, None)) == ["a step"]
        else:
            with pytest.raises(WouldFail):
                next(executor.execute(context, None))
