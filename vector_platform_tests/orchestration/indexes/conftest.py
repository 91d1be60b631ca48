"""The lake that runs on indexes begin with."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from vector_platform.orchestration.launch import Runs
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import NEW, OLD, MemoryPlatform, settings_of
from vector_platform_tests.orchestration.indexes.worlds import (
    CHUNKS,
)


@pytest.fixture
def runs(root: Path, tmp_path: Path) -> Runs:
    """Twelve embedded chunks under two model versions, in a lake of the test's own."""
    # The dbt project is shared, so only the lake moves.
    settings = settings_of(root)
    platform = MemoryPlatform(settings)
    platform.lake = building.open_lake(tmp_path)
    building.put(
        platform.lake, *(building.chunk(f"guides:{n}", f"text {n}") for n in range(CHUNKS))
    )
    for model_version in (OLD, NEW):
        building.embed(platform.lake, model_version)
    return Runs(platform, instance=dg.DagsterInstance.ephemeral())
