"""A block: features that are tested together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Block:
    """Features that are tested together.

    Attributes:
        name: What they are.
        columns: Where they are among the features.
        kind: `joint`: one distance for all of them; `single`: each on its own; `count`: each on
            its own, and it is a share of rows.
        spreads: Of a `single` block, the variance of each feature from row to row; 1 each where
            none are given.
    """

    name: str
    columns: slice
    kind: Literal["joint", "single", "count"]
    spreads: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Number of features."""
        return int(self.columns.stop - self.columns.start)

    @property
    def tests(self) -> tuple[int, ...]:
        """Features of every test that the block is."""
        return (self.size,) if self.kind == "joint" else (1,) * self.size
