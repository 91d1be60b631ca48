"""Static models over made-up words, related to each other as a test needs it.

Belongs here: models whose vectors are known functions of one table of token vectors, and texts of
their words.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

STATIC_MODULE = (
    "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding"
)
VOCABULARY = 300
OLD_DIMENSION, NEW_DIMENSION = 16, 24


def token_vectors() -> np.ndarray:
    """The table that related models share."""
    return np.random.default_rng(0).standard_normal((VOCABULARY + 1, OLD_DIMENSION))


def turned() -> np.ndarray:
    """The same table in another space: any alignment of it is exact."""
    turn = np.random.default_rng(1).standard_normal((NEW_DIMENSION, OLD_DIMENSION))
    return token_vectors() @ np.linalg.qr(turn)[0].T


def unrelated() -> np.ndarray:
    """A table that has nothing to do with the others: no linear map leads to it."""
    return np.random.default_rng(2).standard_normal((VOCABULARY + 1, NEW_DIMENSION * 4))


def with_synonyms() -> np.ndarray:
    """The table with the second half of the words a turn away from the first: readers' words.

    Of the small numbers that trained token vectors have, so that a step of training moves them.
    """
    table = token_vectors() / 10
    half = VOCABULARY // 2
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((OLD_DIMENSION,) * 2))[0]
    table[1 + half : 1 + 2 * half] = table[1 : 1 + half] @ turn
    return table


def synonyms_of(text: str) -> str:
    """The same text in readers' words; for texts of the first half of the words."""
    return " ".join(f"w{int(word[1:]) + VOCABULARY // 2}" for word in text.split())


def write_words_model(folder: Path, vectors: np.ndarray) -> Path:
    """A static model folder whose tokens are the words `w0`, `w1`, ..."""
    folder.mkdir(parents=True)
    words = {"<unk>": 0} | {f"w{number}": number + 1 for number in range(VOCABULARY)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"embedding.weight": vectors.astype(np.float32)}, folder / "model.safetensors")
    modules = [{"idx": 0, "name": "0", "path": "", "type": STATIC_MODULE}]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    return folder


def words_text(number: int, *, words: int = 12, vocabulary: int = VOCABULARY) -> str:
    """A text of a few words, a function of its number."""
    chosen = np.random.default_rng(1000 + number).integers(0, vocabulary, words)
    return " ".join(f"w{word}" for word in chosen)
