from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform.models.base import Embedder
from vector_platform.models.cost import EmbeddingCost, embedding_cost
from vector_platform.models.registry import open_model
from vector_platform.settings import Model
from vector_platform_tests.models.folders import write_static


@pytest.fixture
def prompted(tmp_path: Path) -> Embedder:
    """A model of eight tokens that puts one token before every document."""
    folder = str(write_static(tmp_path / "m"))
    spec = Model(path=folder, kind="static", max_tokens=8, document_prompt="west ")
    return open_model("prompted", spec, cache_dir=tmp_path / "cache")


def test_tokens_are_those_that_embedding_then_reads(
    prompted: Embedder, wordllama: Embedder
) -> None:
    texts = ["north", "north east", "north " * 100]
    for embedder in (prompted, wordllama):
        assert embedder.count_tokens(texts) == embedder.embed_documents(texts).tokens
    assert prompted.count_tokens(texts) == 2 + 3 + 8


def test_all_texts_are_counted_and_some_stand_for_all(prompted: Embedder) -> None:
    texts = ["north", "north east"]
    assert embedding_cost(prompted, 2, texts) == EmbeddingCost(2, 5, 2)
    assert embedding_cost(prompted, 1000, texts) == EmbeddingCost(1000, 2500, 2)


def test_nothing_to_embed_costs_nothing(prompted: Embedder) -> None:
    assert embedding_cost(prompted, 0, []) == EmbeddingCost(0, 0, 0)


def test_a_price_is_told_in_dollars() -> None:
    facts = EmbeddingCost(10, 2_000_000, 10).facts(usd_per_million_tokens=0.02)
    assert facts["embedding_cost_usd"] == 0.04
