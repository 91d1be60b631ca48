"""A whole deployment for a test: its own platform.yaml, data folder, servers and Dagster instance.

Belongs here: setting one up, running it as a user does, and looking at what it left behind with
plain clients.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from pinecone import Pinecone
from pymilvus import MilvusClient

from vector_platform.indexes.backends.milvus.names import collection_name
from vector_platform.indexes.backends.pinecone.names import namespace_name, pinecone_index_name
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.local import services
from vector_platform.orchestration.converge import StageResult, converge
from vector_platform.orchestration.launch import Runs
from vector_platform.serving.searcher import Searcher
from vector_platform.settings import BackendName
from vector_platform.wiring import Platform, load_settings

WORDS = "words.v1"
STATIC = {"package": "wordllama", "kind": "static", "max_tokens": 512}
# Pinecone takes no more ids in one fetch.
MAX_FETCHED = 1000
BACKENDS: tuple[BackendName, ...] = ("milvus", "pinecone")
CHECKOUT = Path(__file__).parents[2]
SHARED_DATA = CHECKOUT.parent / "shared" / "data"

# (id, tenant, digest) of every row an index holds.
Rows = set[tuple[str, str, str]]


@dataclass(frozen=True)
class Command:
    """What a command of the CLI ended with."""

    code: int
    out: str
    err: str


class Deployment:
    """A deployment in a folder. `described` is its platform.yaml, to be changed and saved."""

    def __init__(self, root: Path, **described: Any) -> None:
        self.root = root
        self.described: dict[str, Any] = {
            "start_date": "2026-01-01",
            "models": {WORDS: STATIC},
            **described,
        }
        self.save()

    def save(self) -> None:
        """Write platform.yaml. What was opened is opened anew, as a new process would."""
        self.file.write_text(yaml.safe_dump(self.described), encoding="utf-8")
        self.close()

    @property
    def file(self) -> Path:
        return self.root / "platform.yaml"

    @property
    def data_dir(self) -> Path:
        return load_settings(self.file, {}).data_dir

    @cached_property
    def platform(self) -> Platform:
        return Platform.load(self.file)

    @cached_property
    def runs(self) -> Runs:
        return Runs(self.platform)

    def close(self) -> None:
        """Let go of connections; the servers stay."""
        if "platform" in self.__dict__:
            self.platform.close()
        self.__dict__.pop("platform", None)
        self.__dict__.pop("runs", None)

    # -- running it -------------------------------------------------------------------------

    def converge(self, day: date) -> dict[str, StageResult]:
        """Bring everything up to date, through real runs; stages by name."""
        return {stage.name: stage for stage in converge(self.runs, day)}

    def facts(self, stage: StageResult, asset: str) -> dict[str, Any]:
        """Metadata of an asset's materialisation in the run of a stage."""
        for record in self.runs.instance.all_logs(stage.run_id):
            event = record.dagster_event
            if event is None or not event.is_step_materialization or event.asset_key is None:
                continue
            if event.asset_key.to_user_string() == asset:
                found = event.step_materialization_data.materialization.metadata
                return {name: value.value for name, value in found.items()}
        raise AssertionError(f"{stage.name} did not materialise {asset}")

    def cli(self, *arguments: str) -> Command:
        """`vector-platform ...` in this process, as the entry point runs it."""
        from vector_platform.cli import main

        out, err = io.StringIO(), io.StringIO()
        environment = {"VECTOR_PLATFORM_CONFIG": str(self.file), "COLUMNS": "200"}
        code: Any = 0
        with (
            mock.patch.dict(os.environ, environment),
            mock.patch.object(sys, "argv", ["vector-platform", *arguments]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as stop:
                code = stop.code or 0
        return Command(int(code), out.getvalue(), err.getvalue())

    @property
    def searcher(self) -> Searcher:
        """As it answers once it has seen the last move; by itself it looks every second."""
        searcher = self.platform.searcher
        searcher.live.refresh()
        return searcher

    # -- looking at it ----------------------------------------------------------------------

    def table_versions(self) -> dict[str, int]:
        """Version of every table of the lake."""
        lake = self.platform.lake
        tables = [*lake.tables(), *(lake.raw(name) for name in self.platform.settings.sources)]
        return {table.spec.name: table.version() for table in tables}

    def states(self, backend: BackendName) -> IndexStates:
        return IndexStates(self.platform.lake.index_state, backend, "documents")

    def generation(self, backend: BackendName, model_version: str = WORDS) -> GenerationState:
        """The newest generation of a model version."""
        state = self.states(backend).newest(model_version)
        assert state is not None, f"{backend} has no generation of {model_version}"
        return state

    def live(self, backend: BackendName) -> str:
        """The model version that readers see."""
        release = self.platform.live_pointer(backend).live()
        assert release is not None, f"nothing is live on {backend}"
        return release.model_version

    def milvus(self) -> MilvusClient:
        """A plain client; the caller closes it."""
        # The server hangs up on a client that pings it more often than every five minutes.
        return MilvusClient(
            services.endpoint(self.data_dir, "milvus").uri,
            dedicated=True,
            grpc_options={"grpc.keepalive_time_ms": 300_000},
        )

    def pinecone(self) -> Pinecone:
        """A plain client; the caller closes it."""
        return Pinecone(
            api_key=services.pinecone_api_key(self.data_dir),
            host=services.endpoint(self.data_dir, "pinecone").uri,
        )

    def stored(self, backend: BackendName, model_version: str = WORDS) -> Rows:
        """Every row of the newest generation, read with a plain client, no code of ours."""
        state = self.generation(backend, model_version)
        if backend == "milvus":
            with closing(self.milvus()) as client:
                found = client.query(
                    collection_name(state.identity),
                    filter='id != ""',
                    output_fields=["id", "tenant", "digest"],
                    consistency_level="Strong",
                )
            return {(row["id"], row["tenant"], row["digest"]) for row in found}
        rows: Rows = set()
        with self.pinecone_index(model_version) as index:
            for page in index.list_namespaces():
                for namespace in page.namespaces:
                    if not namespace.name.endswith(f"@{state.generation}"):
                        continue
                    ids = [row.id for row in index.documents.list(namespace=namespace.name)]
                    fetched: dict[str, Any] = {}
                    for at in range(0, len(ids), MAX_FETCHED):
                        fetched |= index.documents.fetch(
                            namespace=namespace.name,
                            ids=ids[at : at + MAX_FETCHED],
                            include_fields=["tenant", "digest"],
                        ).documents
                    for row_id, document in fetched.items():
                        row = document.to_dict()
                        # The namespace, not what the row says, decides whom it is served to.
                        assert namespace.name == namespace_name(row["tenant"], state.generation)
                        rows.add((row_id, row["tenant"], row["digest"]))
        return rows

    @contextmanager
    def pinecone_index(self, model_version: str = WORDS) -> Iterator[Any]:
        """The Pinecone index of a model version, opened with a plain client."""
        client = self.pinecone()
        index = client.index(pinecone_index_name("documents", model_version))
        try:
            yield index
        finally:
            index.close()
            client.close()

    def desired(self, model_version: str = WORDS) -> Rows:
        """Every row the newest snapshot of the lake asks for."""
        lake = self.platform.lake
        return {
            (row["id"], row["tenant"], row["digest"])
            for batch in lake.index_keys(model_version, lake.snapshot())
            for row in batch.to_pylist()
        }


@contextmanager
def running(root: Path, **described: Any) -> Iterator[Deployment]:
    """A deployment with servers of its own, stopped at the end."""
    with ExitStack() as stack:
        # The instance is found by this variable, and the first deployment of a process sets it.
        stack.enter_context(mock.patch.dict(os.environ))
        os.environ.pop("DAGSTER_HOME", None)
        deployment = Deployment(root, **described)
        stack.callback(services.down, deployment.data_dir)
        services.up(deployment.data_dir)
        stack.callback(deployment.close)
        yield deployment
