"""What embedding would cost, before it happens.

Belongs here: an estimate of tokens from a sample of texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vector_platform.models.base import Embedder

# The mean of so many texts of a corpus is off by about 2 % (lengths vary by some 60 %).
SAMPLED_TEXTS = 1000


@dataclass(frozen=True)
class EmbeddingCost:
    """What a model version has still to read.

    Attributes:
        texts: Texts without a vector.
        tokens: Tokens the model reads of them.
        texts_sampled: Texts whose tokens were counted with the model's tokenizer; when fewer than
            `texts`, the tokens are their mean times the texts.
    """

    texts: int
    tokens: int
    texts_sampled: int

    def facts(self, *, usd_per_million_tokens: float) -> dict[str, Any]:
        """Numbers for metadata and JSON."""
        return {
            "texts_to_embed": self.texts,
            "tokens_to_embed": self.tokens,
            "texts_sampled_for_tokens": self.texts_sampled,
            "embedding_cost_usd": round(self.tokens * usd_per_million_tokens / 1e6, 6),
        }


def embedding_cost(embedder: Embedder, texts: int, sample: Sequence[str]) -> EmbeddingCost:
    """Estimate what embedding costs. Loads a tokenizer, never weights.

    Args:
        embedder: The model version.
        texts: How many texts there are.
        sample: All of them, or some that stand for them.
    """
    counted = embedder.count_tokens(sample)
    tokens = round(counted * texts / len(sample)) if sample else 0
    return EmbeddingCost(texts, tokens, len(sample))
