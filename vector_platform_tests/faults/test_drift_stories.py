"""The stories of `make demo-drift`, played by the real daemon. Minutes each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vector_platform.demo import swapped_model
from vector_platform.demo.stories import STORIES, play
from vector_platform.demo.watcher import StoryIncomplete
from vector_platform.lake.decisions import Decisions
from vector_platform.lake.lake import Lake
from vector_platform.local import services

pytestmark = [pytest.mark.deep, pytest.mark.spread]


@pytest.fixture(autouse=True)
def own_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worlds name their instance in the environment; afterwards it is what it was."""
    monkeypatch.setenv("DAGSTER_HOME", os.environ.get("DAGSTER_HOME", ""))


@pytest.mark.parametrize("number", STORIES)
def test_a_story_reaches_its_end_and_leaves_nothing_running(number: int, tmp_path: Path) -> None:
    lines: list[str] = []
    play(number, tmp_path, lines.append)
    assert any("acts on" in line for line in lines), "\n".join(lines)
    assert {found.state for found in services.status(tmp_path / "data")} == {"stopped"}
    decided = Decisions(Lake(str(tmp_path / "data" / "lake")), run_id="").about()
    assert [each.actor for each in decided if each.what == "act"]


def test_a_story_that_does_not_reach_its_end_says_what_was_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is swapped here, so the canaries hold and the story must fail."""
    monkeypatch.setattr(swapped_model, "swap_weights", lambda path: None)
    with pytest.raises(StoryIncomplete, match="the canaries fail"):
        play(2, tmp_path, lambda line: None)
    assert {found.state for found in services.status(tmp_path / "data")} == {"stopped"}
