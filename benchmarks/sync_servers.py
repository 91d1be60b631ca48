"""Servers of the sync benchmark, and the indexes on them.

Belongs here: starting a backend's server, opening it, and what it costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from pydantic import SecretStr

from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.backends.pinecone.settings import PineconeSettings
from vector_platform.indexes.base import VectorIndex
from vector_platform.local import services

BACKENDS = ("milvus", "milvus-server", "pinecone")


def open_index(folder: Path, backend: str) -> VectorIndex:
    if backend != "pinecone":
        from vector_platform.indexes.backends.milvus.index import MilvusVectorIndex

        return MilvusVectorIndex(
            uri=address(folder, backend), settings=MilvusSettings(), timeout_seconds=120
        )
    from vector_platform.indexes.backends.pinecone.index import PineconeVectorIndex

    return PineconeVectorIndex(
        host=address(folder, backend),
        api_key=SecretStr(services.pinecone_api_key(folder)),
        settings=PineconeSettings(),
        timeout_seconds=120,
    )


def address(folder: Path, backend: str) -> str:
    if backend == "milvus-server":
        return (folder / backend / "url").read_text()
    return str(services.endpoint(folder, backend).uri)


def server_cpu(folder: Path, backend: str) -> float:
    """CPU seconds that a server has used so far, with its child processes."""
    if backend == "milvus-server":
        pid = int((folder / backend / "pid").read_text())
    else:
        pid = services.endpoint(folder, backend).pid
    server = psutil.Process(pid)
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


@contextmanager
def serving(folder: Path, backend: str) -> Iterator[None]:
    """A server of the backend, with its data in the folder."""
    if backend != "milvus-server":
        try:
            services.up(folder, names=[backend])
            yield
        finally:
            services.down(folder)
        return
    from vector_platform_tests.milvus_server.process import MilvusServerProcess

    server = MilvusServerProcess(folder / backend)
    try:
        server.start()
        (folder / backend / "url").write_text(server.url)
        (folder / backend / "pid").write_text(str(server.pid))
        yield
    finally:
        server.kill()
