"""Canary texts, the tolerance learnt from benign repetitions, and the comparison."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vector_platform.models.base import Embedded, Embedder, Vectors
from vector_platform.models.canaries.answers import (
    ACROSS_RUNTIMES,
    FLOOR,
    FROM_CORPUS,
    LONGER_THAN_WINDOW,
    MAX_DIFFERENCE,
    choose_texts,
    deviation,
    learn,
)
from vector_platform.models.checks import text_problem
from vector_platform.models.errors import ModelError, ModelUnavailableError
from vector_platform.models.registry import open_model
from vector_platform.settings import Model
from vector_platform_tests.models.folders import write_static

CORPUS = [" ".join(["word"] * size) + f" {size}" for size in range(1, 300)]


class Swapped(Embedder):
    """A model behind a known name: it reads other texts, or its vectors come out otherwise."""

    def __init__(
        self,
        inner: Embedder,
        *,
        read: Callable[[str], str] = lambda text: text,
        answer: Callable[[Vectors], Vectors] = lambda vectors: vectors,
    ) -> None:
        super().__init__(inner.name, inner.fingerprint)
        self.inner, self.read, self.answer = inner, read, answer

    def _encode(self, texts: list[str], *, stable: bool, on_batch: None) -> Embedded:
        read = [self.read(text) for text in texts]
        found = self.inner._encode(read, stable=stable, on_batch=None)
        return replace(found, vectors=self.answer(found.vectors.copy()))

    def _count(self, texts: list[str]) -> int:
        return self.inner._count(texts)


def test_texts_cover_the_lengths_of_the_corpus_and_reach_beyond_the_window(
    wordllama: Embedder,
) -> None:
    texts = choose_texts(CORPUS, max_tokens=wordllama.max_tokens)
    assert len(texts) >= 32 and len(set(texts)) == len(texts)
    assert all(text_problem(text) is None for text in texts)
    sampled = [text for text in texts if text in set(CORPUS)]
    assert len(sampled) == FROM_CORPUS
    assert {sampled[0], sampled[-1]} == {CORPUS[0], CORPUS[-1]}
    assert wordllama.embed_documents(texts).truncated >= LONGER_THAN_WINDOW


def test_the_same_corpus_in_any_order_gives_the_same_texts() -> None:
    shuffled = random.Random(0).sample(CORPUS, len(CORPUS))
    assert choose_texts(shuffled, max_tokens=256) == choose_texts(CORPUS, max_tokens=256)


@pytest.mark.parametrize("corpus", [[], ["one"], CORPUS[:10]], ids=["empty", "one", "ten"])
def test_a_small_corpus_is_filled_up_with_texts_of_every_length(corpus: list[str]) -> None:
    texts = choose_texts(corpus, max_tokens=256)
    assert len(texts) == len(choose_texts(CORPUS, max_tokens=256))
    assert set(corpus) <= set(texts)
    assert len({len(text) for text in texts}) > 25


def test_a_huge_window_does_not_make_canaries_that_take_minutes() -> None:
    assert max(map(len, choose_texts(CORPUS, max_tokens=32768))) < 20_000


def test_a_model_that_did_not_change_does_not_differ(wordllama: Embedder) -> None:
    known = learn(wordllama, choose_texts(CORPUS, max_tokens=wordllama.max_tokens))
    found = deviation(wordllama, known)
    assert known.tolerance == FLOOR
    assert (found.max_abs_difference, found.differing) == (0.0, ())


def test_the_tolerance_is_learnt_from_how_far_benign_repetitions_differ(
    wordllama: Embedder,
) -> None:
    noise = np.random.default_rng(0)

    def noisy(vectors: Vectors) -> Vectors:
        return vectors + noise.uniform(-1e-4, 1e-4, vectors.shape).astype(np.float32)

    model = Swapped(wordllama, answer=noisy)
    known = learn(model, choose_texts(CORPUS, max_tokens=512))
    assert 2e-4 < known.tolerance < 1e-3
    assert deviation(model, known).differing == ()


MUTATIONS: dict[str, Callable[[Embedder], Embedder]] = {
    "half precision": lambda model: Swapped(
        model, answer=lambda v: v.astype(np.float16).astype(np.float32)
    ),
    "a prompt": lambda model: Swapped(model, read=lambda text: "query: " + text),
    "lower case": lambda model: Swapped(model, read=str.lower),
    "accents gone": lambda model: Swapped(
        model, read=lambda text: text.encode("ascii", "ignore").decode() or "?"
    ),
    "a shorter window": lambda model: Swapped(model, read=lambda text: text[:1000]),
    "no normalisation": lambda model: Swapped(model, answer=lambda v: v * np.float32(1.001)),
    "permuted dimensions": lambda model: Swapped(model, answer=lambda v: v[:, ::-1]),
    "no number": lambda model: Swapped(model, answer=lambda v: v * np.float32("nan")),
    "another dimension": lambda model: Swapped(model, answer=lambda v: v[:, :128]),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_changed_model_differs(wordllama: Embedder, name: str) -> None:
    known = learn(wordllama, choose_texts(CORPUS, max_tokens=wordllama.max_tokens))
    found = deviation(MUTATIONS[name](wordllama), known)
    assert found.differing
    assert found.tolerance < found.max_abs_difference <= MAX_DIFFERENCE


def test_in_another_runtime_answers_may_differ_by_more(wordllama: Embedder) -> None:
    known = replace(
        learn(wordllama, choose_texts(CORPUS, max_tokens=512)), runtime="another processor"
    )
    rounded = Swapped(wordllama, answer=lambda v: v + np.float32(FLOOR * ACROSS_RUNTIMES / 2))
    assert deviation(rounded, known).differing == ()
    here = replace(known, runtime=learn(wordllama, known.texts).runtime)
    assert len(deviation(rounded, here).differing) == len(known.texts)


NOISE = np.random.default_rng(0)


@pytest.mark.parametrize(
    "answer",
    [
        lambda v: v * np.float32("nan"),
        lambda v: v + NOISE.standard_normal(v.shape).astype(np.float32),
    ],
    ids=["no number", "never the same"],
)
def test_a_model_that_cannot_be_watched_is_not_registered(
    wordllama: Embedder, answer: Callable[[Vectors], Vectors]
) -> None:
    with pytest.raises(ModelError, match="not registered"):
        learn(Swapped(wordllama, answer=answer), ["a text", "another"])


def test_a_model_that_knows_no_word_of_the_canaries_can_still_be_registered(
    tmp_path: Path,
) -> None:
    folder = write_static(tmp_path / "plane")
    model = open_model("plane", Model(path=str(folder), kind="static"), cache_dir=tmp_path)
    known = learn(model, choose_texts(["north east"], max_tokens=64))
    assert deviation(model, known).differing == ()


def test_an_outage_is_an_error(wordllama: Embedder) -> None:
    known = learn(wordllama, ["a text"])

    def fail(vectors: Vectors) -> Vectors:
        raise ModelUnavailableError("wordllama-256", "the provider does not answer")

    with pytest.raises(ModelUnavailableError):
        deviation(Swapped(wordllama, answer=fail), known)
