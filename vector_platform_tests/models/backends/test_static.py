"""Static models through numpy: values, stability, and texts at the edge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.errors import ContractError
from vector_platform.models.base import Embedder
from vector_platform.models.registry import open_model
from vector_platform.settings import Model
from vector_platform_tests.models.folders import write_static
from vector_platform_tests.tiers import examples

readable = st.text(min_size=1, max_size=300).filter(
    lambda text: text.strip() and text.isprintable()
)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    root = tmp_path_factory.mktemp("plane")
    spec = Model(
        path=str(write_static(root / "m")), kind="static", max_tokens=8, query_prompt="west "
    )
    return open_model("plane", spec, cache_dir=root / "cache")


def test_a_vector_is_the_mean_of_token_vectors_with_unit_norm(plane: Embedder) -> None:
    half = np.sqrt(0.5)
    vectors = plane.encode_documents(["north", "north east", "east east north north"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0, 1], [half, half], [half, half]], atol=1e-7)


def test_the_query_prompt_goes_before_queries_alone(plane: Embedder) -> None:
    half = np.sqrt(0.5)
    np.testing.assert_allclose(plane.encode_queries(["north"]), [[-half, half]], atol=1e-7)


def test_tokens_beyond_the_limit_are_cut_and_counted(plane: Embedder) -> None:
    embedded = plane.embed_documents(["north " * 8 + "east " * 100, "east"])
    assert embedded.vectors.tolist() == [[0, 1], [1, 0]]
    assert (embedded.tokens, embedded.truncated) == (9, 1)


def test_a_text_without_known_tokens_is_refused(plane: Embedder) -> None:
    with pytest.raises(ContractError, match=r"text 1: norm is 0, not 1"):
        plane.encode_documents(["north", "unheard"])
    with pytest.raises(ContractError, match=r"text 0: norm is 0, not 1"):
        plane.encode_documents(["east west"])


def test_every_text_that_cannot_be_embedded_is_listed(wordllama: Embedder) -> None:
    with pytest.raises(ContractError) as caught:
        wordllama.encode_queries(["fine", "", " \n\t", "a\ud800b"])
    assert caught.value.violations == [
        "text 1: is blank",
        "text 2: is blank",
        "text 3: is not valid Unicode: lone surrogate at character 1",
    ]


@given(st.lists(readable, min_size=1, max_size=8), st.randoms(use_true_random=False))
@examples(10)
def test_bits_do_not_depend_on_the_other_texts(
    wordllama: Embedder, texts: list[str], random: object
) -> None:
    together = wordllama.encode_documents(texts)
    order = list(range(len(texts)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = wordllama.encode_documents([texts[i] for i in order])
    for place, row in enumerate(order):
        assert shuffled[place].tobytes() == together[row].tobytes()
        assert wordllama.encode_documents([texts[row]])[0].tobytes() == together[row].tobytes()


def test_any_script_and_any_length_gives_a_unit_vector(wordllama: Embedder) -> None:
    texts = ["Ωμέγα 漢字 🙂", "\u200d", "e\u0301", "x" * 200_000, "word " * 50_000, "\x00nul"]
    vectors = wordllama.encode_documents(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_text_gives_no_vector(wordllama: Embedder) -> None:
    assert wordllama.encode_documents([]).shape == (0, 256)


def test_related_texts_are_closer_than_unrelated(wordllama: Embedder) -> None:
    query, near, far = wordllama.encode_documents(
        ["delete a storage bucket", "removes an object bucket", "list the users of a group"]
    )
    assert query @ near > query @ far + 0.1


def test_converted_weights_are_the_packages_own(cache_dir: Path, wordllama: Embedder) -> None:
    (folder,) = (path for path in (cache_dir / "converted").iterdir() if path.is_dir())
    assert {path.name for path in folder.iterdir()} >= {"model.safetensors", "modules.json"}
