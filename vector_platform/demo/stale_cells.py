"""Story 3: an IVF index is older than what it holds.

Half of the neighbours of new content are missed, and the mix of all rows hides it. The check by
slices sees it, a sensor rebuilds, and the new generation passes its gates.
"""

from __future__ import annotations

from vector_platform.demo.story import (
    NEW_A_DAY,
    NEW_LATER,
    RECALL,
    Story,
    cells,
    land,
    recall_is_lost_and_rebuilt,
)
from vector_platform.demo.stream import Stream
from vector_platform.demo.watcher import Watcher
from vector_platform.demo.world import World


def _prepare_index(world: World, stream: Stream) -> None:
    days = stream.days(20, a_day=54)
    world.land("reference", [ticket for day in days for ticket in day.tickets])


def _cells_are_stale(world: World, watcher: Watcher, stream: Stream) -> None:
    (new,) = stream.days(1, new=NEW_A_DAY)
    since = land(world, watcher, new, "content that the index has never seen")
    recall_is_lost_and_rebuilt(world, watcher, since)
    watcher.rest()
    (after,) = stream.days(1, new=NEW_LATER)
    since = land(world, watcher, after, "the day after")
    back = watcher.check(RECALL, "recall is measured again", since=since)
    watcher.expect(back.passed is True, "recall is back in every slice")


STALE_CELLS = Story(
    "an IVF index is older than what it holds",
    {
        "indexes": {"milvus": cells(5)},
        "releases": {"bake_minutes": 0},
    },
    _prepare_index,
    _cells_are_stale,
)
