"""One tiny deployment for all tests of automation: its dbt project is parsed once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform.settings import Settings
from vector_platform_tests.orchestration.harness import Automation, settings_of, write_deployment


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_deployment(tmp_path_factory.mktemp("deployment") / "home")


@pytest.fixture
def settings(root: Path) -> Settings:
    return settings_of(root)


@pytest.fixture
def automation(settings: Settings) -> Automation:
    return Automation(settings)
