"""The embedded servers as processes that a test may kill, and a look into them that is not ours.

Belongs here: starting, killing and restarting a server on its port; reading and damaging its rows
through its plain SDK, behind the platform's back.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from pinecone import Pinecone
from pymilvus import MilvusClient

from vector_platform.indexes.backends.milvus.names import collection_alias, collection_name
from vector_platform.indexes.backends.pinecone.names import (
    namespace_alias,
    namespace_name,
    parse_namespace,
    pinecone_index_name,
)
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation
from vector_platform.settings import BackendName
from vector_platform_tests.faults.corpus import TENANTS
from vector_platform_tests.integration.conftest import API_KEY, Server, free_port, open_index

Row = dict[str, Any]

# What is not ours: a name that reads almost like one of our generations.
STRANGER = "g1"

MODULES: dict[BackendName, str] = {
    "milvus": "vector_platform.local.milvus_server",
    "pinecone": "vector_platform.local.pinecone_server",
}


@dataclass
class ServerProcess:
    """An embedded server in a process of its own, always on the same port and folder."""

    backend: BackendName
    data: Path

    def __enter__(self) -> ServerProcess:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=20)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(self) -> None:
        """Returns when requests are answered."""
        arguments = ["-m", MODULES[self.backend], "--data", str(self.data)]
        environment = os.environ | {"PINECONE_API_KEY": API_KEY, "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, *arguments, "--port", str(self.port)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        assert self.url in first, f"the {self.backend} server did not start: {first!r}"
        if self.backend == "pinecone":
            # It is announced when its socket listens; the first answer waits for the rest.
            httpx.get(f"{self.url}/_local/health", timeout=30).raise_for_status()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=20)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def open(self, *, timeout_seconds: float = 30.0) -> VectorIndex:
        """One of our adapters."""
        return open_index(Server(self.backend, self.url), timeout_seconds=timeout_seconds)

    def turn(self, **knobs: Any) -> None:
        """Set the knobs of the Pinecone-compatible server; none turns all of them off."""
        url = f"{self.url}/_local/knobs"
        httpx.put(url, json=knobs, headers={"Api-Key": API_KEY}).raise_for_status()

    def faults_struck(self) -> list[int]:
        """How often each injected fault has struck."""
        answer = httpx.get(f"{self.url}/_local/knobs", headers={"Api-Key": API_KEY})
        return [fault["hits"] for fault in answer.raise_for_status().json()["faults"]]


class PlainMilvus:
    """The rows of a generation through pymilvus alone."""

    def __init__(self, url: str) -> None:
        self._client = MilvusClient(url, dedicated=True)

    def close(self) -> None:
        self._client.close()

    def rows(self, generation: Generation) -> list[Row]:
        # Milvus Lite forgets over a restart what was loaded; loading again changes nothing.
        self._client.load_collection(collection_name(generation))
        found = self._client.query(
            collection_name(generation),
            filter='id != ""',
            output_fields=["*"],
            limit=16_000,
            consistency_level="Strong",
        )
        return [dict(row) for row in found]

    def write(self, generation: Generation, rows: list[Row]) -> None:
        # Not upsert: that of a full server hides rows from their tenants (milvus_server/).
        self.remove(generation, rows)
        self._client.insert(collection_name(generation), rows)

    def remove(self, generation: Generation, rows: list[Row]) -> None:
        self._client.delete(collection_name(generation), ids=[row["id"] for row in rows])

    def drop(self, generation: Generation) -> None:
        self._client.drop_collection(collection_name(generation))

    def plant(self, generation: Generation) -> None:
        """Put something of somebody else's beside a generation, named as ours might be."""
        name = f"{generation.index}_{STRANGER}"
        self._client.create_collection(name, dimension=generation.dimension)
        self._client.insert(name, [{"id": 1, "vector": [1.0] * generation.dimension}])
        self._client.create_alias(name, STRANGER)

    def planted(self, generation: Generation) -> bool:
        """Whether it is still there, untouched."""
        name = f"{generation.index}_{STRANGER}"
        rows = self._client.query(name, filter="id == 1", output_fields=["id"])
        aliases = self._client.list_aliases(name)["aliases"]
        return len(rows) == 1 and list(aliases) == [STRANGER]

    def mirrored(self, generation: Generation) -> bool:
        """Whether readers outside the platform are led to a generation."""
        alias = self._client.describe_alias(collection_alias(generation.index))
        return str(alias["collection_name"]) == collection_name(generation)

    def uproot(self, generation: Generation) -> None:
        self._client.drop_alias(STRANGER)
        self._client.drop_collection(f"{generation.index}_{STRANGER}")


class PlainPinecone:
    """The rows of a generation through the pinecone SDK alone."""

    def __init__(self, url: str, key: str = API_KEY) -> None:
        self._client = Pinecone(api_key=key, host=url)

    def close(self) -> None:
        self._client.close()

    def rows(self, generation: Generation) -> list[Row]:
        index = self._index(generation)
        found = []
        for page in index.list_namespaces(limit=100):
            for namespace in page.namespaces:
                parsed = parse_namespace(namespace.name)
                if parsed is None or parsed[1] != generation.name:
                    continue
                ids = [row.id for row in index.documents.list(namespace=namespace.name)]
                if not ids:
                    continue
                answer = index.documents.fetch(
                    namespace=namespace.name, ids=ids, include_fields=["*"]
                )
                stored = {i: row.to_dict() for i, row in answer.documents.items()}
                assert sorted(stored) == sorted(ids), "listed and fetched ids differ"
                for row_id, row in stored.items():
                    # Whose it is, is the namespace it is in; the field must say the same.
                    assert row["tenant"] == parsed[0]
                    row["id"] = row_id
                    row["attributes"] = json.loads(row["attributes"])
                    found.append(row)
        return found

    def write(self, generation: Generation, rows: list[Row]) -> None:
        for row in rows:
            document = {
                "_id": row["id"],
                **{k: v for k, v in row.items() if k not in ("id", "_id", "_score", "score")},
                "attributes": json.dumps(row["attributes"]),
                "vector": [float(x) for x in row["vector"]],
            }
            namespace = namespace_name(row["tenant"], generation.name)
            self._index(generation).documents.upsert(namespace=namespace, documents=[document])

    def remove(self, generation: Generation, rows: list[Row]) -> None:
        for row in rows:
            namespace = namespace_name(row["tenant"], generation.name)
            self._index(generation).documents.delete(namespace=namespace, ids=[row["id"]])

    def drop(self, generation: Generation) -> None:
        self._client.indexes.delete(pinecone_index_name(generation.index, generation.model_version))

    def plant(self, generation: Generation) -> None:
        """Put something of somebody else's beside a generation, named as ours might be."""
        document = {"_id": "1", "vector": [1.0] * generation.dimension}
        self._index(generation).documents.upsert(namespace=STRANGER, documents=[document])

    def planted(self, generation: Generation) -> bool:
        """Whether it is still there, untouched."""
        found = self._index(generation).documents.list(namespace=STRANGER)
        return [row.id for row in found] == ["1"]

    def mirrored(self, generation: Generation) -> bool:
        """Whether readers outside the platform are led to a generation, as far as names fit."""
        answer = self._index(generation)._http.get("/namespace-aliases").json()
        found = {one["name"]: one["target_namespace"] for one in answer["namespace_aliases"]}
        fitting = [tenant for tenant in TENANTS if namespace_alias(tenant)]
        return len(fitting) > 1 and all(
            found.get(tenant) == namespace_name(tenant, generation.name) for tenant in fitting
        )

    def uproot(self, generation: Generation) -> None:
        self._client.indexes.delete(pinecone_index_name(generation.index, generation.model_version))

    def _index(self, generation: Generation) -> Any:
        name = pinecone_index_name(generation.index, generation.model_version)
        return self._client.index(name)


Plain = PlainMilvus | PlainPinecone
PLAIN: dict[BackendName, Callable[[str], Plain]] = {
    "milvus": PlainMilvus,
    "pinecone": PlainPinecone,
}
