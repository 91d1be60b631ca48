"""Tiny model folders of a known content, written the way sentence-transformers writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

WORDS = {"<unk>": 0, "north": 1, "east": 2, "west": 3}
# "<unk>" has no direction: a text of unknown words has no vector.
VECTORS = np.array([[0, 0], [0, 1], [1, 0], [-1, 0]], dtype=np.float32)


def write_static(folder: Path, *, vectors: np.ndarray = VECTORS) -> Path:
    """A static model of three words in the plane."""
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(WordLevel(WORDS, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"embedding.weight": vectors}, folder / "model.safetensors")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.StaticEmbedding"}]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    return folder


def write_transformer_layout(folder: Path) -> Path:
    """The files of a transformer, enough for a fingerprint and too few to run."""
    write_static(folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (folder / "config.json").write_text('{"max_position_embeddings": 512}', encoding="utf-8")
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 2, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")
    return folder
