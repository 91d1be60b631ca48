"""The deployment whose pages are used, once a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vector_platform_tests.orchestration.ui.deployment import Deployment, deployed


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("ui") / "home") as found:
        yield found
