"""A query model is asked once it makes the vectors that are given, and not before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vector_platform.lake.contract import content_of, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.models.base import Embedder, unit_rows
from vector_platform.models.errors import ModelError
from vector_platform.models.given.reproduction import (
    KIND,
    measure_query_model,
    reproduction_problem,
)
from vector_platform.models.given.version import GivenEmbedder, NoTextSearch
from vector_platform.models.registry import open_model, registration
from vector_platform.settings import Model
from vector_platform_tests.lake import building

MINE = "mine.v1"
TEXTS = [f"The {what} is closed on day {n}." for n, what in enumerate(["lift", "garage", "bar"])]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return building.open_lake(tmp_path)


def opened(lake: Lake, model: Embedder, dimensions: int = 256) -> GivenEmbedder:
    spec = Model.model_validate({"given": {"dimensions": dimensions, "query_model": "words"}})
    found = open_model(
        MINE,
        spec,
        cache_dir=Path(lake.uri),
        open_base=lambda name: model,
        proven=lambda given, asked: reproduction_problem(lake, given, asked),
    )
    assert isinstance(found, GivenEmbedder)
    return found


def put(lake: Lake, given: GivenEmbedder, vectors: np.ndarray, title: str = "") -> None:
    lake.register_model(registration(given, "register"))
    building.put(
        lake, *(building.chunk(f"s:{n}", text, title=title) for n, text in enumerate(TEXTS))
    )
    hashes = [hash_text(content_of(title, text)) for text in TEXTS]
    building.append_vectors(lake, MINE, dict(zip(hashes, vectors, strict=True)))


@pytest.mark.parametrize("title", ["", "House rules"])
def test_a_model_that_makes_the_vectors_embeds_queries_from_then_on(
    lake: Lake, wordllama: Embedder, title: str
) -> None:
    given = opened(lake, wordllama)
    put(lake, given, wordllama.encode_documents(TEXTS), title)
    with pytest.raises(NoTextSearch, match="has not been compared with them yet"):
        given.encode_queries(["lift"])
    facts = measure_query_model(lake, given, run_id="r")
    assert (facts["searched_by_text"], facts["query_model_texts"]) == (1, 3)
    asked = wordllama.encode_queries(["lift"])
    assert np.array_equal(given.encode_queries(["lift"]), asked)
    # The same sample is not embedded twice.
    assert measure_query_model(lake, given, run_id="r") == facts
    assert lake.evaluations.read(where=[("kind", "==", KIND)]).num_rows == 1


def test_one_text_that_is_not_reproduced_is_enough_to_refuse_and_is_counted(
    lake: Lake, wordllama: Embedder
) -> None:
    given = opened(lake, wordllama)
    made = wordllama.encode_documents(TEXTS)
    made[1] = unit_rows(made[1:2] + 0.1 * made[2:3])[0]
    put(lake, given, made)
    facts = measure_query_model(lake, given, run_id="r")
    assert (facts["searched_by_text"], facts["query_model_texts_below"]) == (0, 1)
    with pytest.raises(NoTextSearch, match="sample of 3 texts, 1 get a vector whose cosine"):
        given.encode_queries(["lift"])


def test_a_model_of_another_length_is_refused_before_anything_is_compared(
    lake: Lake, wordllama: Embedder
) -> None:
    with pytest.raises(ModelError, match=r"have 3 numbers, and those of query_model .* have 256"):
        opened(lake, wordllama, dimensions=3).queries_problem()
