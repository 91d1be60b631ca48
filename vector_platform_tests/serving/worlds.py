"""Searchers over small lakes: real pointers and generations, models that are functions.

Belongs here: making a `Searcher` with as few words as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from vector_platform.indexes.base import VectorIndex
from vector_platform.lake.contract import DOCUMENTS
from vector_platform.lake.lake import Lake
from vector_platform.serving.searcher import Searcher
from vector_platform.settings import BackendName
from vector_platform_tests.lake.building import START, chunk, embed, put, vector_of
from vector_platform_tests.releases.deployment import MODELS, Deployment


@dataclass(frozen=True)
class Recorded:
    """A fingerprint, as the lake has it."""

    digest: str


class KnownModel:
    """A model version of the lake; texts become vectors by a function."""

    def __init__(self, fingerprint: str, embed: Callable[[str], np.ndarray]) -> None:
        self.fingerprint = Recorded(fingerprint)
        self.asked: list[str] = []
        self.problem: str | None = None
        self._embed = embed

    def queries_problem(self) -> str | None:
        return self.problem

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.stack([self._embed(text) for text in texts]).astype(np.float32)


def go_live(world: Deployment, model: str = "old.v1", backend: BackendName = "milvus") -> None:
    """Sync a model's index and release it."""
    state = world.sync(backend).sync(model).generation
    world.pointer(backend).promote(state, actor="ann", reason="r", evidence={}, run_id="run")


def document(doc_id: str, body: str, *, tenant: str = "acme") -> dict[str, Any]:
    """A row of `documents`."""
    source, _, key = doc_id.partition(":")
    return {
        "doc_id": doc_id, "source": source, "key": key, "tenant": tenant, "region": "eu",
        "title": f"Title of {key}", "body": body, "attributes": '{"severity":"high"}',
        "updated_at": None, "duplicate_of": None, "row_hash": f"hash of {key}",
        "uri": f"file:///rows/{key}", "run_id": "run 1", "ingested_at": START,
    }  # fmt: skip


def with_documents(world: Deployment, *more: str) -> None:
    """Documents for what a deployment's chunks are of, and one of another tenant."""
    put(world.lake, chunk("s:theirs", "a secret of zeta", tenant="zeta"))
    for model in MODELS:
        embed(world.lake, model)
    rows = [document(one, f"body of {one}") for one in (*(f"s:{n}" for n in range(12)), *more)]
    rows.append(document("s:theirs", "a secret of zeta", tenant="zeta"))
    world.lake.documents.merge(pa.Table.from_pylist(rows, schema=DOCUMENTS.schema))


def searcher_of(
    lake: Lake,
    open_index: Callable[[Any], VectorIndex],
    *,
    embed: Callable[[str, str], np.ndarray] = vector_of,
    backends: Sequence[str] = ("milvus",),
    index: str = "documents",
    **how: Any,
) -> Searcher:
    """A searcher of an index, whose models embed by `embed(model version, text)`."""
    models: dict[str, KnownModel] = {}

    def open_model(name: str) -> KnownModel:
        if name not in models:
            fingerprint = lake.model_version(name).fingerprint
            models[name] = KnownModel(fingerprint, lambda text: embed(name, text))
        return models[name]

    return Searcher(
        lake, index, backends, open_index=open_index, **{"open_model": open_model} | how
    )
