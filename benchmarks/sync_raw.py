"""The raw clients that the sync benchmark is compared with, each in its best way.

Belongs here: writing rows that are ready, with nothing of the product but the rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
from sync_servers import address, open_index
from synthetic import DIMENSION, MODEL, TENANTS

from vector_platform.indexes.backends.milvus.rows import milvus_rows
from vector_platform.indexes.backends.pinecone.rows import pinecone_documents
from vector_platform.indexes.contract import Generation
from vector_platform.lake.lake import Lake
from vector_platform.local import services

INDEX = "benchmark"
# Rows each way of writing is tried with before the best one writes everything.
TRIAL_ROWS = 8_000
# Rows handed to the raw client at once.
RAW_BATCH = 8_000
# Writes a batch of rows that are ready; returns the seconds that took.
Way = Callable[[Generation, pa.RecordBatch], float]


def raw_step(folder: Path, backend: str, rows: int, known: str | None) -> dict[str, Any]:
    """The client alone, with rows that are ready: its best way, unless known, with so many rows.

    Only the client's calls are timed, not making its rows.
    """
    lake, target = Lake(str(folder / "lake")), open_index(folder, backend)
    ways = _pinecone_ways(folder) if backend == "pinecone" else _milvus_ways(folder, backend)

    def rates(name: str, way: Way, limit: int) -> tuple[float, float]:
        """Rows a second, written and written until they can be searched."""
        generation = Generation(INDEX, name, "raw.v1", DIMENSION)
        target.create(generation)
        seconds, done = 0.0, 0
        batches = lake.index_rows(MODEL, lake.snapshot(), batch_rows=RAW_BATCH)
        for batch in batches:
            seconds += way(generation, batch)
            done += batch.num_rows
            if done >= limit:
                break
        batches.close()  # type: ignore[attr-defined]
        started = time.perf_counter()
        target.fence(generation)
        fence = time.perf_counter() - started
        target.drop(generation)
        return done / seconds, done / (seconds + fence)

    trials = {
        name: rates(f"g{number:04d}", way, min(rows, TRIAL_ROWS))[0]
        for number, (name, way) in enumerate(ways.items(), start=1)
        if known is None
    }
    best = known or max(trials, key=lambda name: trials[name])
    rate, searchable = rates("g1000", ways[best], rows)
    return {"best": best, "trials": trials, "rate": rate, "searchable": searchable}


def _milvus_ways(folder: Path, backend: str) -> dict[str, Way]:
    from pymilvus import MilvusClient

    from vector_platform.indexes.backends.milvus.names import collection_name

    client = MilvusClient(address(folder, backend))
    pool = ThreadPoolExecutor(2)

    def way(method: str, size: int, requests: int) -> Way:
        def write(generation: Generation, rows: pa.RecordBatch) -> float:
            entities, _ = milvus_rows(rows, DIMENSION)
            parts = [entities[start : start + size] for start in range(0, len(entities), size)]
            name = collection_name(generation)
            started = time.perf_counter()
            send = getattr(client, method)
            if requests == 1:
                for part in parts:
                    send(name, part)
            else:
                list(pool.map(lambda part: send(name, part), parts))
            return time.perf_counter() - started

        return write

    return {
        f"{method} {size}, {requests} at once": way(method, size, requests)
        for method in ("insert", "upsert")
        for size in (1000, 2000)
        for requests in (1, 2)
    }


def _pinecone_ways(folder: Path) -> dict[str, Way]:
    from pinecone import Pinecone

    from vector_platform.indexes.backends.pinecone.names import namespace_name
    from vector_platform.indexes.backends.pinecone.terms import index_name

    client = Pinecone(
        api_key=services.pinecone_api_key(folder), host=services.endpoint(folder, "pinecone").uri
    )
    opened: dict[str, Any] = {}
    batches = count()

    def way(size: int, requests: int) -> Way:
        def write(generation: Generation, rows: pa.RecordBatch) -> float:
            name = index_name(generation)
            index = opened[name] = opened.get(name) or client.index(name)
            # All rows of a batch to one namespace: whoever writes raw sorts by namespace first.
            namespace = namespace_name(f"tenant-{next(batches) % TENANTS:02d}", generation.name)
            documents, _ = pinecone_documents(rows, DIMENSION, lambda tenant: namespace)
            started = time.perf_counter()
            result = index.documents.batch_upsert(
                namespace=namespace,
                documents=documents[namespace],
                batch_size=size,
                max_concurrency=requests,
                show_progress=False,
            )
            seconds = time.perf_counter() - started
            if result.failed_items:
                raise SystemExit(f"the raw client failed to write: {result.errors[:1]}")
            return seconds

        return write

    return {
        f"batch_upsert {size}, {requests} at once": way(size, requests)
        for size in (200, 400)
        for requests in (1, 4)
    }
