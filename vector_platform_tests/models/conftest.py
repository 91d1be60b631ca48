"""Fixtures of the models tests: one cache of conversions for the whole session."""

from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform.models.base import Embedder
from vector_platform.models.registry import open_model
from vector_platform.settings import Model

WORDLLAMA = Model(package="wordllama", kind="static")


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models-cache")


@pytest.fixture(scope="session")
def wordllama(cache_dir: Path) -> Embedder:
    return open_model("wordllama-256", WORDLLAMA, cache_dir=cache_dir)
