"""Many small tenants beside few large ones: build, churn, proof and search of as many rows.

Belongs here: the tenants benchmark; prints one table.

Costs are CPU seconds of client and server together, which a busy machine changes least. Beside
the product on Pinecone stands the SDK alone, with as few requests as its API allows.

    python benchmarks/tenants.py [--quick] [--backend NAME ...]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Cost, PrintedTable, clean_up_when_told_to_stop, measured, note
from sync import sync_step, verify_step
from sync_raw import INDEX
from sync_servers import BACKENDS, address, open_index, server_cpu, serving
from synthetic import DIMENSION, MODEL, build_lake, change

from vector_platform.indexes.backends.pinecone.names import namespace_name
from vector_platform.indexes.backends.pinecone.rows import pinecone_documents
from vector_platform.indexes.backends.pinecone.settings import PineconeSettings
from vector_platform.indexes.backends.pinecone.terms import index_name
from vector_platform.indexes.contract import Generation, Scope
from vector_platform.indexes.state import IndexStates
from vector_platform.indexes.stored_rows import by_tenant
from vector_platform.lake.lake import Lake
from vector_platform.local import services

ROWS_MANY, ROWS_FEW = 4, 400
CHANGED = 200
SEARCHES = 20
# What many tenants may cost, in times of what few do.
BAR = 3.0


def lake_step(folder: Path, tenants: int, rows: int) -> None:
    build_lake(folder / "lake", rows, tenants)


def change_step(folder: Path, tenants: int, rows: int) -> None:
    share = CHANGED / rows
    change(Lake(str(folder / "lake")), rows, share, edition=1, tenants=tenants)


def search_step(folder: Path, backend: str) -> dict[str, Any]:
    """Searches of all tenants."""
    lake, target = Lake(str(folder / "lake")), open_index(folder, backend)
    state = IndexStates(lake.index_state, target.backend, INDEX).newest(MODEL)
    if state is None:
        raise SystemExit("there is no generation to search")
    cpu, started = time.process_time(), time.perf_counter()
    for probe in np.random.default_rng(1).normal(size=(SEARCHES, DIMENSION)):
        target.search(
            state.identity, probe / np.linalg.norm(probe), k=10, scope=Scope.all_tenants()
        )
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    target.close()
    return {"seconds": seconds, "cpu_seconds": cpu}


def raw_step(folder: Path, backend: str, proof_only: bool) -> dict[str, Any]:
    """The SDK alone, with rows that are ready: each tenant written, waited for and read back.

    One request each, but for tenants of more rows than a request writes.
    """
    from pinecone import Pinecone

    generation, settings = Generation("raw", "g0001", "raw.v1", DIMENSION), PineconeSettings()
    lake, target = Lake(str(folder / "lake")), open_index(folder, backend)
    target.create(generation)
    client = Pinecone(api_key=services.pinecone_api_key(folder), host=address(folder, backend))
    documents = client.index(index_name(generation)).documents
    namespace_of = partial(namespace_name, generation=generation.name)
    written: dict[str, int] = {}

    def write(work: tuple[str, list[dict[str, Any]]]) -> None:
        answer = documents.upsert(namespace=work[0], documents=work[1])
        written[work[0]] = answer.response_info.lsn_committed

    query = {"type": "dense_vector", "field": "vector", "values": [1.0] + [0.0] * (DIMENSION - 1)}

    def wait(namespace: str) -> None:
        answer = documents.search(namespace=namespace, score_by=[query], top_k=1)
        if not answer.response_info.is_reconciled(written[namespace]):
            raise SystemExit("the server shows writes late; measure on one that does not")

    def read(namespace: str) -> int:
        filled = {"digest": {"$exists": True}}
        fields = ["digest", "tenant"]
        answer = documents.fetch(
            namespace=namespace, filter=filled, include_fields=fields, limit=4000
        )
        return len(answer.documents)

    work: list[tuple[str, list[dict[str, Any]]]] = []
    for batch in lake.index_rows(MODEL, lake.snapshot(), batch_rows=1_000_000, by_tenant=True):
        for part in by_tenant(batch, settings.batch_rows):
            work += pinecone_documents(part, DIMENSION, namespace_of)[0].items()
    namespaces = list(dict.fromkeys(namespace for namespace, _ in work))
    with ThreadPoolExecutor(settings.max_parallel_requests) as pool:
        cpu, started = time.process_time(), time.perf_counter()
        if not proof_only:
            list(pool.map(write, work))
            list(pool.map(wait, namespaces))
        rows = sum(pool.map(read, namespaces))
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    target.close()
    if rows != sum(len(own) for _, own in work):
        raise SystemExit("the raw client does not read what it wrote")
    return {"seconds": seconds, "cpu_seconds": cpu}


def costs(backend: str, tenants: int, rows: int) -> dict[str, float]:
    """CPU seconds of each step, of client and server, on a server of its own."""
    found = {}
    with (
        tempfile.TemporaryDirectory(prefix="vector-platform-benchmark-") as name,
        serving(Path(name), backend),
    ):
        folder = Path(name)
        measured(lake_step, folder, tenants, rows)
        label = f"{backend}, {tenants:,} tenants of {rows // tenants}"
        raw = [
            ("build, raw client", raw_step, (False,)),
            ("proof, raw client", raw_step, (True,)),
        ]
        for step, call, arguments in (
            *(raw if backend == "pinecone" else []),
            ("build", sync_step, ("build",)),
            ("churn", sync_step, ("changes",)),
            ("proof", verify_step, ()),
            (f"{SEARCHES} searches of all", search_step, ()),
        ):
            if step == "churn":
                measured(change_step, folder, tenants, rows)
            before = server_cpu(folder, backend)
            cost: Cost = measured(call, folder, backend, *arguments)
            client, server = cost.result["cpu_seconds"], server_cpu(folder, backend) - before
            found[step] = client + server
            note(
                f"{label}, {step}: {client:.2f} s of CPU here, {server:.2f} s of the server, "
                f"{cost.result['seconds']:.2f} s by the clock"
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--backend", nargs="+", choices=BACKENDS)
    options = parser.parse_args()
    clean_up_when_told_to_stop()
    rows = 2_000 if options.quick else 20_000
    many, few = rows // ROWS_MANY, rows // ROWS_FEW
    table = PrintedTable(
        (
            "backend, step",
            f"{few:,} tenants of {ROWS_FEW}, CPU s",
            f"{many:,} tenants of {ROWS_MANY}, CPU s",
            "times",
            f"bar {BAR:.0f}",
        ),
        first_width=30,
    )
    for backend in options.backend or BACKENDS:
        large, small = costs(backend, few, rows), costs(backend, many, rows)
        for step, seconds in large.items():
            times = small[step] / seconds
            table.add(
                (
                    f"{backend}, {step}",
                    f"{seconds:.2f}",
                    f"{small[step]:.2f}",
                    f"{times:.2f}",
                    "met" if times <= BAR else "not met",
                )
            )
    print(
        f"\nchurn: a sync of {CHANGED} changed rows. searches of all: without a tenant, k 10. "
        "raw client: the SDK"
        "\nalone, which writes rows that are ready, waits for each tenant and reads it back."
    )


if __name__ == "__main__":
    main()
