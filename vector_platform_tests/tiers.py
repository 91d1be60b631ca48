"""The two tiers of tests, and the five shards of the deep one.

Belongs here: which tier and which shard a test is in. The fast tier (`make test`) is every test
without the marker `deep`: a sample of every suite. The deep tier (`make test-deep`) is the rest.
"""

from __future__ import annotations

import zlib
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any, Final

import pytest

SHARDS: Final = 5
# Files that the checksum would put into a shard that is long without them.
MOVED: Final = {"test_kills.py": 2, "test_lake_faults.py": 3, "test_server_deaths.py": 3}


@dataclass(frozen=True)
class Place:
    """Where a collected test is run.

    Args:
        suite: The folder of its file.
        shard: The shard of the deep tier, from 1; None in the fast tier.
    """

    suite: str
    shard: int | None


TIERS: Final = pytest.StashKey[dict[str, Place]]()


def shard_of(item: pytest.Item) -> int | None:
    """The shard of a deep test, None for a fast one.

    The deep tests of a file stay together, since they may share a server or tell one story. The
    checksum of the file's name chooses their shard, so a new file needs no number.
    """
    if item.get_closest_marker("deep") is None:
        return None
    name = item.path.name
    return MOVED.get(name, zlib.crc32(name.encode()) % SHARDS + 1)


def sampled(cases: Iterable[Any], *, fast: Container[Any]) -> list[Any]:
    """Cases of a parametrised test: the `fast` ones in the fast tier, the others in the deep."""
    return [case if case in fast else pytest.param(case, marks=pytest.mark.deep) for case in cases]


def places(items: Iterable[pytest.Item]) -> dict[str, Place]:
    """The place of every collected test, by its id."""
    return {
        item.nodeid: Place(suite=item.path.parent.as_posix(), shard=shard_of(item))
        for item in items
    }


def keep_shard(config: pytest.Config, items: list[pytest.Item], shard: int) -> None:
    """Leave the tests of one shard, and say how many were left out."""
    if shard not in range(1, SHARDS + 1):
        raise pytest.UsageError(f"--shard is a number from 1 to {SHARDS}, not {shard}")
    others = [item for item in items if shard_of(item) != shard]
    items[:] = [item for item in items if shard_of(item) == shard]
    config.hook.pytest_deselected(items=others)
