"""Fixtures of index tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform_tests.indexes.synced_world import World
from vector_platform_tests.tiers import in_turn


@pytest.fixture(params=in_turn("world", [False, True]), ids=["ids per tenant", "ids are global"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path / "world", ids_are_global=request.param)
