"""Fixtures of release tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform_tests.releases.deployment import Deployment


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    made = Deployment(tmp_path_factory.mktemp("live"))
    state = made.sync().sync("old.v1").generation
    made.pointer().promote(state, actor="ann", reason="first", evidence={}, run_id="run")
    return made


@pytest.fixture
def world(prepared: Deployment, tmp_path: Path) -> Deployment:
    """`old.v1` is live, and a rebuild of it is ready."""
    return prepared.copy(tmp_path)
