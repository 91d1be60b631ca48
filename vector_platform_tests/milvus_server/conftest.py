"""The full server as the `server` of the shared suites.

Belongs here: fixtures that put this server where `integration/conftest.py` puts the embedded ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vector_platform.indexes.base import VectorIndex
from vector_platform_tests.integration.conftest import Server, open_index
from vector_platform_tests.milvus_server.process import MilvusServerProcess


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    process = MilvusServerProcess(tmp_path_factory.mktemp("milvus_server"))
    process.start()
    yield Server("milvus", process.url)
    process.kill()


@pytest.fixture(scope="session")
def server(milvus_server: Server) -> Server:
    return milvus_server


@pytest.fixture(scope="module")
def target(server: Server) -> Iterator[VectorIndex]:
    index = open_index(server)
    yield index
    index.close()
