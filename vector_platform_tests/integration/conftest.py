"""Embedded servers for the integration tests, and an adapter for each.

Belongs here: fixtures that more than one integration test uses. Each session has servers of its
own on free ports with an empty data folder, and stops them by their handles.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.backends.pinecone.settings import PineconeSettings
from vector_platform.indexes.base import VectorIndex
from vector_platform.settings import BackendName
from vector_platform_tests.tiers import in_turn

pytest.register_assert_rewrite("vector_platform_tests.integration.hostile_values")

API_KEY = "integration-tests"


@dataclass(frozen=True)
class Server:
    """A running embedded server."""

    backend: BackendName
    url: str


def open_index(
    server: Server,
    *,
    milvus: MilvusSettings | None = None,
    pinecone: PineconeSettings | None = None,
    timeout_seconds: float = 30.0,
) -> VectorIndex:
    """An adapter for the server; the caller closes it."""
    if server.backend == "milvus":
        from vector_platform.indexes.backends.milvus.index import MilvusVectorIndex

        return MilvusVectorIndex(
            uri=server.url,
            settings=milvus or MilvusSettings(index_type="FLAT"),
            timeout_seconds=timeout_seconds,
        )
    from vector_platform.indexes.backends.pinecone.index import PineconeVectorIndex

    return PineconeVectorIndex(
        host=server.url,
        api_key=SecretStr(API_KEY),
        settings=pinecone or PineconeSettings(),
        timeout_seconds=timeout_seconds,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class MilvusProcess:
    """The embedded Milvus server in a process of its own, to be stopped or killed."""

    def __init__(self, data: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        server = [sys.executable, "-m", "vector_platform.local.milvus_server"]
        self._process = subprocess.Popen(
            [*server, "--data", str(data), "--port", str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()  # printed when requests are answered
        assert self.url in first, f"the embedded Milvus server did not start: {first!r}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    process = MilvusProcess(tmp_path_factory.mktemp("milvus"))
    yield Server("milvus", process.url)
    process.stop()


@pytest.fixture(scope="session")
def pinecone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from vector_platform.local.pinecone_server.http.server import PineconeServer

    with PineconeServer(tmp_path_factory.mktemp("pinecone"), api_key=API_KEY) as server:
        yield Server("pinecone", server.url)


@pytest.fixture(scope="session", params=in_turn("server", ["milvus", "pinecone"]))
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture(scope="module")
def target(server: Server) -> Iterator[VectorIndex]:
    index = open_index(server)
    yield index
    index.close()
