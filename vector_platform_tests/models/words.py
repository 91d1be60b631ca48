"""Static models over made-up words, related to each other as a test needs it.

Belongs here: models whose vectors are known functions of one table of token vectors, and texts
of their words. Does not belong here: assertions.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

VOCABULARY = 300
OLD_DIMENSION, NEW_DIMENSION = 16, 24


def token_vectors() -> np.ndarray:
    """The table that related models share."""
    return np.random.default_rng(0).standard_normal((VOCABULARY + 1, OLD_DIMENSION))


def turned() -> np.ndarray:
    """The same table in another space: any translation of it is exact."""
    turn = np.random.default_rng(1).standard_normal((NEW_DIMENSION, OLD_DIMENSION))
    return token_vectors() @ np.linalg.qr(turn)[0].T


def unrelated() -> np.ndarray:
    """A table that has nothing to do with the others: no linear map leads to it."""
    return np.random.default_rng(2).standard_normal((VOCABULARY + 1, NEW_DIMENSION * 4))


def write_words_model(folder: Path, vectors: np.ndarray) -> Path:
    """A static model folder whose tokens are the words `w0`, `w1`, ..."""
    folder.mkdir(parents=True)
    words = {"<unk>": 0} | {f"w{number}": number + 1 for number in range(VOCABULARY)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"embedding.weight": vectors.astype(np.float32)}, folder / "model.safetensors")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.StaticEmbedding"}]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    return folder


def words_text(number: int, *, words: int = 12) -> str:
    """A text of a few words, a function of its number."""
    chosen = np.random.default_rng(1000 + number).integers(0, VOCABULARY, words)
    return " ".join(f"w{word}" for word in chosen)
