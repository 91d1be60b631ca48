"""Fine-tuning a sentence-transformers model on pairs, sized for a few processors.

Belongs here: the training loop. Each query of a batch must find its own text among the batch's;
texts of its own document are no negatives. The loop is ours because the library's trainer needs
two packages more (datasets, accelerate) for what is twenty lines here, and because every choice
that moves a bit is then in sight: the order of the pairs, the shape of the batches, the optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vector_platform.training.pairs import Pair, TrainingRuntime

# As contrastive text models are trained with.
SCALE = 20.0
# Peaks: the rate rises over a tenth of the steps and falls to zero. Token vectors of a static
# model are each seen in few batches and must move far in one.
LEARNING_RATES = {"transformer": 3e-5, "static": 1e-2}
# Longest input while training: attention is quadratic, and a text's start says what it is about.
MAX_TOKENS = 128


def fine_tune(
    name: str,
    base: Path,
    folder: Path,
    pairs: Sequence[Pair],
    *,
    steps: int,
    batch_pairs: int,
    runtime: TrainingRuntime,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> dict[str, Any]:
    """Train a copy of a model and save it.

    Args:
        name: The new model version, for messages.
        base: sentence-transformers folder to start from.
        folder: Where the trained one is written.
        pairs: What to learn; sorted here, so that their order is no input.
        steps: Batches.
        batch_pairs: Pairs in a batch.
        runtime: Seed and threads.
        on_step: Called with the step and its loss.

    Returns:
        Facts for the card.
    """
    import torch

    from vector_platform.models.backends.torch import load_sentence_transformer

    ordered = sorted(set(pairs))
    losses: list[float] = []
    with runtime.repeatable():
        model = load_sentence_transformer(name, base, dtype=torch.float32).train()
        longest = model.max_seq_length
        if isinstance(longest, int):  # a static model has no longest input
            model.max_seq_length = min(longest, MAX_TOKENS)
        rate = LEARNING_RATES["transformer" if isinstance(longest, int) else "static"]
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
        warm_up = max(1, steps // 10)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: min((step + 1) / warm_up, (steps - step) / max(1, steps - warm_up)),
        )
        for step, batch in enumerate(_batches(ordered, steps, batch_pairs, runtime.seed)):
            queries, texts = (
                torch.nn.functional.normalize(model(_features(model, side))["sentence_embedding"])
                for side in ([pair.query for pair in batch], [pair.text for pair in batch])
            )
            scores = SCALE * queries @ texts.T
            own = [[a.doc_id == b.doc_id and a != b for b in batch] for a in batch]
            scores = scores.masked_fill(torch.tensor(own), float("-inf"))
            loss = torch.nn.functional.cross_entropy(scores, torch.arange(len(batch)))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
            on_step(step + 1, losses[-1])
        if isinstance(longest, int):
            model.max_seq_length = longest
        model.eval().save(str(folder), create_model_card=False)
    return {
        "method": "fine-tuning",
        "pairs": len(ordered),
        "steps": steps,
        "batch_pairs": batch_pairs,
        "learning_rate": rate,
        "first_loss": round(losses[0], 6),
        "last_loss": round(losses[-1], 6),
    }


def _batches(pairs: Sequence[Pair], steps: int, batch_pairs: int, seed: int) -> list[list[Pair]]:
    """Pairs in a random order, again and again; no pair twice in a batch."""
    random = np.random.default_rng(seed)
    size = min(batch_pairs, len(pairs))
    order: list[int] = []
    batches = []
    for _ in range(steps):
        if len(order) < size:
            order = random.permutation(len(pairs)).tolist()
        batches.append([pairs[place] for place in order[:size]])
        order = order[size:]
    return batches


def _features(model: Any, texts: list[str]) -> dict[str, Any]:
    features: dict[str, Any] = dict(model.preprocess(texts))
    return features
