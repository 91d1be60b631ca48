"""Searchers over small lakes: real pointers and generations, models that are functions.

Belongs here: making a `Searcher` with as few words as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vector_platform.indexes.base import VectorIndex
from vector_platform.lake.lake import Lake
from vector_platform.serving.searcher import Searcher
from vector_platform_tests.lake.building import vector_of


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
