"""A query adapter: one matrix that moves queries towards their answers and leaves documents alone.

Belongs here: training it. Nothing is embedded again: it is trained on vectors, and what it serves
are its base's. The matrix starts as the identity and is pulled back to it, so with few pairs it
stays near the base; pairs set aside decide how far it goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vector_platform.models.base import Vectors
from vector_platform.models.derived.vector_map import VectorMap
from vector_platform.training.pairs import TrainingRuntime

# Sharpness of the softmax over documents, as contrastive text models are trained with.
SCALE = 20.0
STEPS = 100
LEARNING_RATE = 3e-3
# Pull to the identity, by squared distance; keeps directions alone that no pair speaks of. With
# ten times less, a quarter less was gained on held-out documents, and nothing from few pairs.
PULL = 0.1
# Shares of the learnt step among which the pairs set aside decide; 0 is the base itself.
STRIDES = (0.0, 0.25, 0.5, 0.75, 1.0)


def train_adapter(
    queries: Vectors,
    documents: Vectors,
    answers: npt.NDArray[np.intp],
    *,
    set_aside: npt.NDArray[np.bool_],
    runtime: TrainingRuntime,
) -> tuple[VectorMap, dict[str, Any]]:
    """Train a matrix for queries.

    Args:
        queries: Unit vectors, one row a pair.
        documents: Unit vectors of all documents of the pairs: each is a negative of the others.
        answers: For each pair the row of its document.
        set_aside: Pairs that are not trained on and choose the stride.
        runtime: Seed and threads.

    Returns:
        The map, and facts for the card. A stride of 0 means that nothing was learnt that holds
        beyond the trained pairs: the map is the identity.
    """
    with runtime.repeatable():
        learnt = _learn(queries[~set_aside], documents, answers[~set_aside])
    identity = np.eye(queries.shape[1])
    maps = {
        stride: VectorMap(
            identity + stride * (learnt - identity),
            np.zeros(queries.shape[1]),
            f"query adapter, stride {stride:g}",
        )
        for stride in STRIDES
    }
    scores = {
        stride: _reciprocal_rank(one.apply(queries[set_aside]), documents, answers[set_aside])
        for stride, one in maps.items()
    }
    best = max(STRIDES, key=lambda stride: (scores[stride], -stride))
    facts = {
        "method": "query adapter",
        "stride": best,
        "set_aside": int(set_aside.sum()),
        "set_aside_reciprocal_rank": round(scores[best], 6),
        "set_aside_reciprocal_rank_of_base": round(scores[0.0], 6),
        "steps": STEPS,
    }
    return maps[best], facts


def _learn(
    queries: Vectors, documents: Vectors, answers: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Softmax regression from queries to documents, all documents at once, by Adam."""
    import torch

    asked, known = torch.tensor(queries), torch.tensor(documents)
    wanted = torch.from_numpy(answers.astype(np.int64))
    identity = torch.eye(queries.shape[1])
    matrix = identity.clone().requires_grad_()
    optimizer = torch.optim.Adam([matrix], lr=LEARNING_RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(SCALE * (asked @ matrix) @ known.T, wanted)
        (loss + PULL * (matrix - identity).square().sum()).backward()
        optimizer.step()
    learnt: npt.NDArray[np.float64] = matrix.detach().numpy().astype(np.float64)
    return learnt


def _reciprocal_rank(queries: Vectors, documents: Vectors, answers: npt.NDArray[np.intp]) -> float:
    if not len(queries):
        return 0.0
    scores = queries @ documents.T
    own = scores[np.arange(len(queries)), answers]
    ranks = 1 + (scores > own[:, None]).sum(axis=1)
    return float((1.0 / ranks).mean())
