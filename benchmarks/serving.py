"""What our answers cost over the vendors' clients: the searcher, and HTTP over the searcher.

Belongs here: one table, of searches by a vector within a tenant, so that no model is in it. All
variants answer the same questions in turn, so that a busy machine slows them alike; what is told
is the median of the differences between two neighbours of a round.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from synthetic import DIMENSION, MODEL, TENANTS, build_lake  # isort: skip (puts the package on the path)
from measuring import PrintedTable, clean_up_when_told_to_stop, note  # isort: skip
from sync_servers import address, open_index, serving  # isort: skip

from vector_platform.indexes.backends.milvus.names import collection_name
from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.backends.milvus.terms import search_params
from vector_platform.indexes.backends.pinecone.names import namespace_name
from vector_platform.indexes.backends.pinecone.terms import index_name
from vector_platform.indexes.contract import Generation, Scope
from vector_platform.indexes.stored_rows import HIT_FIELDS
from vector_platform.lake.lake import Lake
from vector_platform.local import services
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.serving.http.app import create_app
from vector_platform.serving.http.server import SearchServer
from vector_platform.serving.searcher import Searcher
from vector_platform_tests.syncing import index_sync

INDEX: Final = "documents"
K: Final = 10
BACKENDS: Final = ("milvus", "pinecone")
Ask = Callable[[np.ndarray, str], Any]


def no_model(name: str) -> Any:
    """Questions bring their vectors."""
    raise RuntimeError(f"{name} is not asked")


def searcher_of(folder: Path, backend: str) -> Searcher:
    target = open_index(folder, backend)
    return Searcher(
        Lake(str(folder / "lake")),
        INDEX,
        [backend],
        open_index=lambda _: target,
        open_model=no_model,
    )


def serve(folder: Path, backend: str, ports: Any) -> None:
    """A service in a process of its own."""
    server = SearchServer(create_app(searcher_of(folder, backend)), port=0)
    server.run(lambda: ports.put(server.port))


def raw_client(folder: Path, backend: str, generation: Generation) -> Ask:
    """What somebody writes who has the vendor's client and knows the names of our index."""
    if backend == "milvus":
        from pymilvus import MilvusClient

        milvus = MilvusClient(address(folder, backend))
        how = {"metric_type": "COSINE", "params": search_params(MilvusSettings(), K)}
        collection = collection_name(generation)

        def of_milvus(vector: np.ndarray, tenant: str) -> Any:
            return milvus.search(
                collection,
                data=[vector],
                anns_field="vector",
                filter=f'tenant == "{tenant}"',
                limit=K,
                output_fields=list(HIT_FIELDS),
                search_params=how,
                consistency_level="Bounded",
            )

        return of_milvus
    from pinecone import Pinecone

    client = Pinecone(api_key=services.pinecone_api_key(folder), host=address(folder, backend))
    documents = client.index(index_name(generation)).documents
    fields = list(HIT_FIELDS)

    def of_pinecone(vector: np.ndarray, tenant: str) -> Any:
        query = {"type": "dense_vector", "field": "vector", "values": vector.tolist()}
        return documents.search(
            namespace=namespace_name(tenant, generation.name),
            score_by=[query],
            top_k=K,
            include_fields=fields,
        )

    return of_pinecone


def over_http(port: int) -> Ask:
    """A plain client that keeps its connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json"}

    def ask(vector: np.ndarray, tenant: str) -> Any:
        body = orjson.dumps({"tenants": [tenant], "vector": vector.tolist(), "k": K})
        connection.request("POST", "/v1/search", body, headers)
        answer = connection.getresponse()
        read = answer.read()
        if answer.status != 200:
            raise SystemExit(read.decode())
        return read

    return ask


def measure(folder: Path, backend: str, rounds: int) -> list[list[str]]:
    lake, target = Lake(str(folder / "lake")), open_index(folder, backend)
    state = index_sync(lake, target, folder, index=INDEX, batch_rows=1000).sync(MODEL).generation
    pointer = LivePointer(lake, target.backend, INDEX)
    pointer.promote(state, actor="benchmark", reason="r", evidence={}, run_id="r")
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    process = context.Process(target=serve, args=(folder, backend, ports), daemon=True)
    process.start()
    searcher = searcher_of(folder, backend)
    variants: dict[str, Ask] = {
        "raw client": raw_client(folder, backend, state.identity),
        "index": lambda vector, tenant: target.search(
            state.identity, vector, k=K, scope=Scope.of(tenant)
        ),
        "searcher": lambda vector, tenant: searcher.search(
            vector=vector, k=K, scope=Scope.of(tenant)
        ),
        "HTTP": over_http(ports.get(timeout=120)),
    }
    random = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 20):
        vector = random.standard_normal(DIMENSION).astype(np.float32)
        vector /= np.linalg.norm(vector)
        tenant = f"tenant-{number % TENANTS:02d}"
        for name, ask in variants.items():
            started = time.perf_counter()
            ask(vector, tenant)
            if number >= 20:  # connections are open and caches warm
                seconds[name].append(time.perf_counter() - started)
    searcher.close()
    target.close()
    process.terminate()
    process.join()
    return list(_lines(backend, lake.chunks.rows(), seconds))


def _lines(backend: str, rows: int, seconds: dict[str, list[float]]) -> list[list[str]]:
    below: list[float] | None = None
    lines = []
    for name, found in seconds.items():
        added = ""
        if below is not None:
            differences = [1000 * (one - other) for one, other in zip(found, below, strict=True)]
            added = f"{np.median(differences):+.2f}"
        p50, p10, p95 = (1000 * np.percentile(found, share) for share in (50, 10, 95))
        lines.append(
            [f"{backend}, {name}", f"{rows:,}", f"{p50:.2f}", f"{p10:.2f}", f"{p95:.2f}", added]
        )
        below = found
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--quick", action="store_true", help="5,000 rows, 200 rounds")
    asked = parser.parse_args()
    rows, rounds = (5_000, 200) if asked.quick else (asked.rows, asked.rounds)
    folder = Path(tempfile.mkdtemp(prefix="serving-"))
    clean_up_when_told_to_stop()
    header = ["asked", "rows", "p50 ms", "p10 ms", "p95 ms", "over the line above, ms"]
    table = PrintedTable(header, first_width=22)
    try:
        note(f"a lake of {rows:,} rows")
        build_lake(folder / "lake", rows)
        for backend in BACKENDS:
            note(f"{backend}: building, then {rounds} rounds")
            with serving(folder, backend):
                for line in measure(folder, backend, rounds):
                    table.add(line)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
