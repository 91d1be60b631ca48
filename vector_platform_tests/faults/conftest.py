"""One server and one runner a module, for each backend; tests bring a lake of their own.

Belongs here: fixtures. Everything listens on loopback, lives in a temporary folder, and is ended
by its own handle.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vector_platform_tests.faults.servers import ServerProcess
from vector_platform_tests.faults.worlds import Runs, World
from vector_platform_tests.tiers import in_turn


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with Runs() as found:
        yield found


@pytest.fixture(scope="module")
def pinecone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess("pinecone", tmp_path_factory.mktemp("pinecone")) as found:
        yield found


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess("milvus", tmp_path_factory.mktemp("milvus")) as found:
        yield found


@pytest.fixture(params=in_turn("server", ["milvus", "pinecone"]))
def server(request: pytest.FixtureRequest) -> ServerProcess:
    found: ServerProcess = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def world(tmp_path: Path, server: ServerProcess, runs: Runs) -> Iterator[World]:
    made = World(tmp_path / "world", server, runs, seed=7)
    yield made
    made.remove()
