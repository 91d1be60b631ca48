"""What all training has in common: pairs in a fixed order, and torch made repeatable.

Belongs here: the pairs and the surroundings of a run.

The same pairs, settings, base and libraries give the same bytes on one kind of machine. Threads
are part of that: sums are split over them, so their number is set, not found.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from vector_platform.models.extras import TRANSFORMERS


@dataclass(frozen=True, order=True)
class Pair:
    """A query and a text that answers it.

    Attributes:
        query: What was asked.
        text: What the model sees of the answer.
        doc_id: The document that the text belongs to: no negative of the query.
    """

    query: str
    text: str
    doc_id: str


@dataclass(frozen=True)
class TrainingRuntime:
    """What a run's bits depend on beside its data.

    Attributes:
        seed: Of the order of the pairs, and of everything random in torch.
        threads: Threads of torch.
    """

    seed: int
    threads: int

    def facts(self) -> dict[str, Any]:
        """For the card."""
        return {
            "seed": self.seed,
            "threads": self.threads,
            "torch": version("torch").split("+")[0],
            "processor": platform.machine(),
        }

    @contextmanager
    def repeatable(self) -> Iterator[None]:
        """Torch with a seed, a number of threads and deterministic algorithms; then as before."""
        TRANSFORMERS.require("training")
        import torch

        threads = torch.get_num_threads()
        strict = torch.are_deterministic_algorithms_enabled()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            torch.set_num_threads(self.threads)
            torch.use_deterministic_algorithms(True)
            try:
                yield
            finally:
                torch.use_deterministic_algorithms(strict)
                torch.set_num_threads(threads)
