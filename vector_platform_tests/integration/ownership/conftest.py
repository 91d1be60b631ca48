"""Fixtures of ownership tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vector_platform_tests.integration.conftest import Server
from vector_platform_tests.integration.ownership.deployment import (
    INDEX_NAMES,
    SIX,
    Deployment,
)
from vector_platform_tests.lake.building import MODEL


@pytest.fixture
def ours(server: Server, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment with a proven generation of six rows."""
    made = Deployment(tmp_path / "ours", server, next(INDEX_NAMES))
    made.put(*SIX)
    made.sync.sync(MODEL)
    yield made
    for state in made.sync.states.present():
        made.target.drop(state.identity)
    made.target.close()
