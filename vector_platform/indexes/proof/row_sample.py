"""Which rows a proof looks at although nothing was to happen to them: how many, and of whom.

Belongs here: the sizes of the sample and the choice of tenants, pure functions of counts.

A sync that does more than it was asked to leaves what it touched as it should be, and damage
elsewhere. What changes how many rows a tenant has is seen by counting them. What leaves the counts
alone (another vector, another digest, two rows exchanged) is seen by looking at rows: at so many
of a tenant that damage to more than one row in a hundred is missed once in a hundred times at
most. Every proof draws another sample, so that proofs in a row cover the index between them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import lru_cache
from math import lgamma, log
from typing import Final

# Damage to a larger share of a tenant's rows is missed with no more than this probability.
DAMAGED_SHARE: Final = 0.01
MISSED: Final = 0.01
# Rows that one proof looks at: ten tenants of any size in full, a thousand of four rows.
SAMPLED_ROWS: Final = 5000
# An index of up to so many rows is read whole by this many proofs of everything in a row; a larger
# one so many rows a proof, so that what a proof costs does not grow with it.
WHOLE_TURNS: Final = 7
WHOLE_ROWS: Final = 20_000
# Tenants that are counted one by one through the filter of queries, besides those that changed.
COUNTED_TENANTS: Final = 64


def whole_share(rows: int, *, fetch_share: float) -> float:
    """Share of the rows that a proof of everything reads whole, in turns.

    All where they are no more than it would sample, a seventh otherwise, and never more than
    `WHOLE_ROWS`; where reading costs, no larger a share than a person has said.
    """
    if rows <= SAMPLED_ROWS * fetch_share:
        return 1.0
    return min(1 / WHOLE_TURNS, WHOLE_ROWS / rows, fetch_share)


@lru_cache(maxsize=4096)
def sample_size(rows: int) -> int:
    """How many rows of so many have to be looked at, drawn without putting back.

    The smallest n for which the chance to draw none of the damaged rows, C(rows - damaged, n) /
    C(rows, n), is `MISSED` at most. 459 of very many rows, all of a hundred.
    """
    damaged = int(rows * DAMAGED_SHARE) + 1
    low, high = 0, max(rows - damaged + 1, 0)
    while low < high:
        middle = (low + high) // 2
        if _log_missed(rows, damaged, middle) <= log(MISSED):
            high = middle
        else:
            low = middle + 1
    return low


def _log_missed(rows: int, damaged: int, drawn: int) -> float:
    def log_factorial(n: int) -> float:
        return lgamma(n + 1)

    return (
        log_factorial(rows - damaged)
        + log_factorial(rows - drawn)
        - log_factorial(rows)
        - log_factorial(rows - damaged - drawn)
    )


def sample_sizes(
    tenants: Mapping[str, int], *, first: Collection[str], seed: str, budget: int = SAMPLED_ROWS
) -> dict[str, int]:
    """Tenant -> rows to look at, until the budget is used up.

    Args:
        tenants: Tenant -> rows.
        first: Tenants that are looked at before all others.
        seed: Decides whose turn it is among tenants that cannot all be looked at.
        budget: Rows of all tenants together.
    """
    sizes: dict[str, int] = {}
    for tenant in _in_turn(tenants, first, seed):
        size = min(sample_size(tenants[tenant]), budget)
        if size:
            sizes[tenant] = size
        budget -= size
        if not budget:
            break
    return sizes


def tenants_to_count(tenants: Collection[str], *, changed: Collection[str], seed: str) -> list[str]:
    """Tenants whose rows are counted: all when they are few, else the changed and some others."""
    others = [tenant for tenant in _in_turn(tenants, (), seed) if tenant not in changed]
    return sorted({*changed, *others[:COUNTED_TENANTS]})


def _in_turn(tenants: Collection[str], first: Collection[str], seed: str) -> list[str]:
    """The tenants that come first, then all others; both in an order that the seed decides."""

    def place(tenant: str) -> tuple[bool, bytes]:
        mixed = hashlib.blake2b(f"{seed}/{tenant}".encode(), digest_size=8).digest()
        return tenant not in first, mixed

    return sorted(tenants, key=place)
