"""Transformers run by torch, loaded with sentence-transformers.

Belongs here: loading on the CPU in fp32 or with bf16 weights, and one forward pass. With
`torch-bf16` the encoder computes in bf16 (measured 2.5 times faster with AVX512-BF16; without bf16
instructions expect no gain), pooling and what follows in float32, so that vectors are not rounded
to bf16 at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vector_platform.models.backends.transformer import Ids, Runner, TransformerEmbedder
from vector_platform.models.base import Vectors
from vector_platform.models.errors import ModelError, ModelUnavailableError
from vector_platform.models.extras import TRANSFORMERS

if TYPE_CHECKING:
    from pathlib import Path

    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer


class TorchEmbedder(TransformerEmbedder):
    """A sentence-transformers model on torch."""

    def _load(self) -> Runner:
        TRANSFORMERS.require(f"model {self.name}")
        import torch

        bf16 = self.fingerprint.backend == "torch-bf16"
        model = load_sentence_transformer(
            self.name, self._folder.root, dtype=torch.bfloat16 if bf16 else torch.float32
        )
        if model.get_embedding_dimension() != self.dimension:
            raise ModelError(
                self.name,
                f"the configuration says {self.dimension} dimensions, the loaded model "
                f"{model.get_embedding_dimension()}",
            )
        encoder, *rest = [module.eval() for module in model]
        after = torch.nn.Sequential(*rest).float()
        takes_types = "token_type_ids" in model.tokenizer.model_input_names

        def forward(ids: Ids, mask: Ids) -> Vectors:
            with torch.inference_mode():
                features = {
                    "input_ids": torch.from_numpy(ids),
                    "attention_mask": torch.from_numpy(mask),
                }
                if takes_types:
                    features["token_type_ids"] = torch.zeros_like(features["input_ids"])
                features = encoder(features)
                features["token_embeddings"] = features["token_embeddings"].float()
                vectors: Vectors = after(features)["sentence_embedding"].numpy()
            return vectors.astype(np.float32, copy=False)

        tokenizer, pad_id = fast_tokenizer(self.name, model)
        return Runner(tokenizer, pad_id, forward)


EMBEDDER = TorchEmbedder


def load_sentence_transformer(name: str, folder: Path, *, dtype: object) -> SentenceTransformer:
    """Load a folder on the CPU, without progress bars and without a network.

    Raises:
        ModelUnavailableError: The folder's files cannot be loaded.
    """
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    had_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return SentenceTransformer(
            str(folder), device="cpu", local_files_only=True, model_kwargs={"dtype": dtype}
        ).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelUnavailableError(name, f"{folder} cannot be loaded: {error}") from error
    finally:
        if had_bars:
            logging.enable_progress_bar()


def fast_tokenizer(name: str, model: SentenceTransformer) -> tuple[Tokenizer, int]:
    """The Rust tokenizer that the model itself uses, and the id of its padding token.

    Raises:
        ModelError: The model has only a Python tokenizer.
    """
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(name, "the model has no fast tokenizer (tokenizer.json), which is needed")
    return backend, int(model.tokenizer.pad_token_id or 0)
