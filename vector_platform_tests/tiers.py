"""The two tiers of tests, and the five shards of the deep one.

Belongs here: which tier and which shard a test is in, and how many examples a property has there.
The fast tier (`make test`) is every test without the marker `deep`: a sample of every suite. The
deep tier (`make test-deep`) is the rest, and the properties once more, of more examples.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import settings

SHARDS: Final = 5
# Minutes that the deep tests of a file take on one worker of a quiet machine, where these are more
# than one and not `spread`. The longest is dealt out first; of others a checksum finds the shard.
LONG: Final[Mapping[str, float]] = {
    "test_retrieval.py": 3.2,
    "test_hostile.py": 3.1,
    "test_pipeline.py": 2.5,
    "test_pipeline_drift.py": 2.1,
    "test_cli.py": 1.3,
    "test_models_minilm.py": 1.3,
    "test_whole_way.py": 1.3,
}
# A deep run has so many times as many examples of each property.
TIMES: Final = 8
EXAMPLES: Final = 20


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

# A failure can be run again as it was, and a busy machine fails no test for being slow.
for _name, _times in (("fast", 1), ("deep", TIMES)):
    settings.register_profile(
        _name,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=True,
        max_examples=EXAMPLES * _times,
    )


def load_profile(*, deep: bool) -> None:
    """Let properties have the examples of a tier, before the files that have some are read."""
    settings.load_profile("deep" if deep else "fast")


def examples(number: int, **others: Any) -> settings:
    """Settings of a property of so many examples in the fast tier, and more in the deep one.

    Without it a property has `EXAMPLES`.
    """
    times = TIMES if settings.get_current_profile_name() == "deep" else 1
    return settings(max_examples=number * times, **others)


def sampled(cases: Iterable[Any], *, fast: Container[Any]) -> list[Any]:
    """Cases of a parametrised test: the `fast` ones in the fast tier, the others in the deep."""
    return [
        case
        if case in fast
        else pytest.param(*case, marks=pytest.mark.deep)
        if isinstance(case, tuple)
        else pytest.param(case, marks=pytest.mark.deep)
        for case in cases
    ]


def in_turn(fixture: str, values: Iterable[Any]) -> list[Any]:
    """Values of a fixture that every test takes: one of them in the fast tier, which depends on
    the test, and the others in the deep tier.
    """
    return [pytest.param(value, marks=pytest.mark.in_turn(fixture)) for value in values]


def mark(items: Iterable[pytest.Item], *, deep: bool) -> None:
    """Mark as deep what is so by its kind: values in turn, and in a deep run properties.

    Args:
        items: Every test that was collected.
        deep: Whether the deep tier is run.
    """
    turns: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if deep and getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("deep")
        if (turn := item.get_closest_marker("in_turn")) is not None:
            params = item.callspec.params  # type: ignore[attr-defined]
            others = sorted((name, told(v)) for name, v in params.items() if name != turn.args[0])
            turns[f"{item.nodeid.partition('[')[0]} {others}"].append(item)
    for name, cases in turns.items():
        chosen = zlib.crc32(name.encode()) % len(cases)
        for item in cases[:chosen] + cases[chosen + 1 :]:
            item.add_marker("deep")


def told(value: Any) -> str:
    """A parameter in words that are the same in every process: no address of an object."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


def shards(items: Iterable[pytest.Item]) -> dict[str, int | None]:
    """The shard of every test, by its id; None for a fast one.

    The deep tests of a file stay together, since they may share a server or tell one story, unless
    they are marked `spread`: then they take the shards in turn.
    """
    dealt = _dealt()
    spread: Counter[str] = Counter()
    found: dict[str, int | None] = {}
    for item in items:
        name = item.path.name
        if item.get_closest_marker("deep") is None:
            found[item.nodeid] = None
            continue
        shard = dealt.get(name, zlib.crc32(name.encode()) % SHARDS + 1)
        if item.get_closest_marker("spread") is not None:
            shard = (shard - 1 + spread[name]) % SHARDS + 1
            spread[name] += 1
        found[item.nodeid] = shard
    return found


def _dealt() -> dict[str, int]:
    """The shards of the long files: each goes where least is, the longest first."""
    minutes = dict.fromkeys(range(1, SHARDS + 1), 0.0)
    found = {}
    for name, takes in sorted(LONG.items(), key=lambda file: (-file[1], file[0])):
        found[name] = min(minutes, key=lambda shard: (minutes[shard], shard))
        minutes[found[name]] += takes
    return found


def places(items: Iterable[pytest.Item]) -> dict[str, Place]:
    """The place of every collected test, by its id."""
    items = list(items)
    found = shards(items)
    return {
        item.nodeid: Place(suite=item.path.parent.as_posix(), shard=found[item.nodeid])
        for item in items
    }


def keep_shard(config: pytest.Config, items: list[pytest.Item], shard: int) -> None:
    """Leave the tests of one shard, and say how many were left out."""
    if shard not in range(1, SHARDS + 1):
        raise pytest.UsageError(f"--shard is a number from 1 to {SHARDS}, not {shard}")
    places = config.stash[TIERS]
    others = [item for item in items if places[item.nodeid].shard != shard]
    items[:] = [item for item in items if places[item.nodeid].shard == shard]
    config.hook.pytest_deselected(items=others)
