"""What was acknowledged survives kill -9; what was not is there whole or not at all."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from vector_platform.local.pinecone_server import PineconeServer
from vector_platform.local.pinecone_server.data.records import Record
from vector_platform.local.pinecone_server.data.store import IndexStore
from vector_platform_tests.local.conftest import API_KEY, SCHEMA

HEADERS = {"Api-Key": API_KEY}
BATCH = 50


@contextmanager
def server_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "vector_platform.local.pinecone_server"]
    process = subprocess.Popen(
        [*command, "--data", str(folder), "--port", "0"],
        env=os.environ | {"PINECONE_API_KEY": API_KEY},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().split(" on ")[1].strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def vector_of(writer: int, batch: int, i: int) -> list[float]:
    return np.random.default_rng([writer, batch, i]).normal(size=4).astype(np.float32).tolist()


class Writer(threading.Thread):
    """Upserts batches, and deletes the first document of each, until the server is gone."""

    def __init__(self, host: str, number: int) -> None:
        super().__init__()
        self.http = httpx.Client(base_url=f"{host}/namespaces/t/documents", headers=HEADERS)
        self.number = number
        self.tried = 0
        self.acknowledged = 0

    def run(self) -> None:
        try:
            while True:
                documents = [
                    {
                        "_id": f"{self.number}-{self.tried}-{i}",
                        "vector": vector_of(self.number, self.tried, i),
                    }
                    for i in range(BATCH)
                ]
                self.tried += 1
                if self.http.post("/upsert", json={"documents": documents}).status_code != 202:
                    return
                body = {"ids": [documents[0]["_id"]]}
                if self.http.post("/delete", json=body).status_code != 202:
                    return
                self.acknowledged = self.tried
        except httpx.TransportError:
            return


def stored(folder: Path) -> dict[str, list[float]]:
    with PineconeServer(folder, api_key=API_KEY) as server:
        http = httpx.Client(
            base_url=f"{server.url}/i/first/namespaces/t/documents", headers=HEADERS
        )
        ids: list[str] = []
        token = None
        while True:
            page = http.post("/list", json={"pagination_token": token}).json()
            ids += [entry["_id"] for entry in page["documents"]]
            token = page.get("pagination", {}).get("next")
            if token is None:
                break
        found: dict[str, Any] = {}
        for start in range(0, len(ids), 1000):
            body = {"ids": ids[start : start + 1000]}
            found |= http.post("/fetch", json=body).json()["documents"]
        assert sorted(found) == ids
        return {name: document["vector"] for name, document in found.items()}


@pytest.mark.integration
@pytest.mark.parametrize("batches_before_the_kill", [1, 7, 20])
def test_every_acknowledged_write_survives_kill_9_in_the_middle_of_writes(
    tmp_path: Path, batches_before_the_kill: int
) -> None:
    with server_process(tmp_path) as (process, url):
        body = {"name": "first", "schema": SCHEMA}
        assert httpx.post(f"{url}/indexes", json=body, headers=HEADERS).status_code == 201
        writers = [Writer(f"{url}/i/first", number) for number in range(3)]
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + 30
        while min(writer.acknowledged for writer in writers) < batches_before_the_kill:
            assert time.monotonic() < deadline
            writers[0].join(0.001)
        process.send_signal(signal.SIGKILL)
        for writer in writers:
            writer.join()
    left = stored(tmp_path)
    for writer in writers:
        assert writer.acknowledged >= batches_before_the_kill
        for batch in range(writer.tried):
            names = [f"{writer.number}-{batch}-{i}" for i in range(BATCH)]
            present = [name for name in names if name in left]
            if batch < writer.acknowledged:
                assert present == names[1:]
            else:
                assert present in (names, names[1:], [])
            for i, name in enumerate(names):
                if name in left:
                    expected = vector_of(writer.number, batch, i)
                    assert np.array_equal(np.float32(left[name]), np.float32(expected))


@pytest.mark.integration
def test_a_stopped_process_leaves_the_folder_to_the_next(tmp_path: Path) -> None:
    with server_process(tmp_path) as (process, url):
        body = {"name": "first", "schema": SCHEMA}
        httpx.post(f"{url}/indexes", json=body, headers=HEADERS)
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    with PineconeServer(tmp_path, api_key=API_KEY) as server:
        names = httpx.get(f"{server.url}/indexes", headers=HEADERS).json()["indexes"]
    assert [entry["name"] for entry in names] == ["first"]


@pytest.mark.integration
def test_a_taken_port_ends_the_process_with_a_reason(tmp_path: Path) -> None:
    with PineconeServer(tmp_path / "a") as server:
        command = [sys.executable, "-m", "vector_platform.local.pinecone_server"]
        ended = subprocess.run(
            [*command, "--data", str(tmp_path / "b"), "--port", str(server.port)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert str(server.port) in ended.stderr


@pytest.mark.parametrize("before", ["never there", "dropped"])
def test_a_first_write_that_fails_leaves_no_namespace_behind(tmp_path: Path, before: str) -> None:
    store = IndexStore(tmp_path / "db", dimension=0, metric="cosine", delay=lambda kind: 0.0)
    record = Record("a", {"n": 1})
    with store.session():
        if before == "dropped":
            store.write("t", {"old": record})
            store.drop_namespace("t")
        store.db.execute(
            "create trigger full before insert on record begin select raise(abort, 'full'); end"
        )
        with pytest.raises(sqlite3.Error, match="full"):
            store.write("t", {"a": record})
        assert store.namespace("t") is None
        assert store.names() == []
        store.db.execute("drop trigger full")
        lsn = store.write("t", {"a": record})
    store.close()
    again = IndexStore(tmp_path / "db", dimension=0, metric="cosine", delay=lambda kind: 0.0)
    with again.session():
        found = again.namespace("t")
        assert found is not None
        assert (list(found.slot_of), found.lsn) == (["a"], lsn)
    again.close()
