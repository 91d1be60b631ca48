"""Fixtures of tests of several sub-rooms of releases."""

from __future__ import annotations

import pytest

from vector_platform_tests.releases.deployment import Deployment


@pytest.fixture(scope="session")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Twelve documents under both model versions, and no index; tests take a copy."""
    return Deployment(tmp_path_factory.mktemp("twelve"))
