"""What differing canaries say: told from a real model that is changed in a known way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vector_platform.models.base import Embedder
from vector_platform.models.canaries.answers import choose_texts, deviation, groups_of, learn
from vector_platform.models.canaries.symptoms import reading
from vector_platform_tests.models.canaries.test_answers import CORPUS, MUTATIONS, Swapped

SUSPECTS = {
    "half precision": "another precision",
    "a prompt": "another prompt",
    "accents gone": "unusual writing",
    "a shorter window": "the longest texts",
    "permuted dimensions": "another model",
    "no number": "another model",
    "another dimension": "another model",
    "an appended mark": "the shorter texts",
}
CHANGES: dict[str, Callable[[Embedder], Embedder]] = MUTATIONS | {
    "an appended mark": lambda model: Swapped(
        model, read=lambda text: text if len(text) > 400 else text + " mark"
    ),
}


def read(model: Embedder, changed: Embedder, *, fingerprint_matches: bool = True) -> str:
    known = learn(model, choose_texts(CORPUS, max_tokens=model.max_tokens))
    found = deviation(changed, known)
    assert found.max_abs_difference == max(found.distances)
    assert len(found.differing) == sum(np.array(found.distances) > found.tolerance)
    return reading(
        known.texts,
        found.distances,
        tolerance=found.tolerance,
        least_cosine=found.least_cosine,
        fingerprint_matches=fingerprint_matches,
    )


@pytest.mark.parametrize("name", SUSPECTS)
def test_a_change_is_told_by_which_texts_differ(wordllama: Embedder, name: str) -> None:
    assert SUSPECTS[name] in read(wordllama, CHANGES[name](wordllama))


def test_a_model_that_did_not_change_has_no_symptom(wordllama: Embedder) -> None:
    assert "No canary differs: the model" in read(wordllama, wordllama)


def test_other_files_that_give_the_same_vectors_are_told_from_a_changed_model(
    wordllama: Embedder,
) -> None:
    assert "No canary differs, but the fingerprint" in read(
        wordllama, wordllama, fingerprint_matches=False
    )


def test_every_canary_belongs_to_a_group() -> None:
    texts = choose_texts(CORPUS, max_tokens=256)
    groups = groups_of(len(texts))
    assert len(groups) == len(texts)
    longer = [len(text) for text, group in zip(texts, groups, strict=True) if "beyond" in group]
    assert min(longer) > max(map(len, CORPUS))
