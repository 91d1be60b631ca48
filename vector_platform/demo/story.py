"""What a story is, and what stories have in common: a day that arrives, and what is looked at.

Belongs here: the value, and expectations that more than one story has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vector_platform.demo.stream import Day, Stream
from vector_platform.demo.watcher import Chapter, Watcher
from vector_platform.demo.world import MODEL, SOURCE, World
from vector_platform.indexes.state import IndexStates
from vector_platform.orchestration.runs.history import Happening
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.remediation import checks

INDEX = "documents"
DRIFT = f"lake/embeddings:{checks.DRIFT}"
CANARIES = f"lake/embeddings:{checks.CANARY}"
RECALL = f"milvus/{INDEX}:{checks.RECALL}"
PARITY = f"milvus/{INDEX}:{checks.PARITY}"
# Tickets about the new topic on its first day, beside some fifty usual ones.
NEW_A_DAY = 60
# And on the days after.
NEW_LATER = 12
GOLDEN = {"known": {"source": SOURCE, "kind": "beir", "path": "golden"}}


@dataclass(frozen=True)
class Story:
    """A story.

    Attributes:
        title: What happens.
        settings: What its deployment has beside the base settings.
        prepare: Fills the world before anything runs.
        play: Lets things happen, and waits for what must follow.
    """

    title: str
    settings: Mapping[str, Mapping[str, Any]]
    prepare: Callable[[World, Stream], None]
    play: Callable[[World, Watcher, Stream], None]


def cells(opened: int) -> dict[str, Any]:
    """An IVF index of which a search opens so many cells.

    Milvus trains the cells of every segment by itself, at most one for each row. What lands in a
    day is a segment of some hundred rows, each in a cell of its own.
    """
    return {
        "index_type": "IVF_FLAT",
        "index_params": {"nlist": 128},
        "search_params": {"nprobe": opened},
        "partitions": 1,
    }


def land(world: World, watcher: Watcher, day: Day, what: str) -> Chapter:
    """Let a day arrive. Returns the moment before it."""
    since = watcher.now()
    watcher.tell(f"{day.date} arrives, {len(day.tickets)} tickets: {what}")
    world.land(day.date.isoformat(), day.tickets)
    return since


def of(day: Day) -> Callable[[Happening], bool]:
    """Whether a verdict is about a day."""
    return lambda found: bool(found.facts.get("day") == day.date.isoformat())


def recall_is_lost_and_rebuilt(world: World, watcher: Watcher, since: Chapter) -> None:
    """Recall is lost on what is new and nowhere else; a sensor rebuilds; readers get it."""
    lost = watcher.check(
        RECALL, "recall is lost", since=since, where=lambda found: found.passed is False
    )
    watcher.expect("since the build" in lost.facts["worst_slice"], "the new slice is the worst")
    watcher.expect(lost.facts["worst_recall"] < 0.8, "much is lost on the new slice")
    watcher.expect(lost.facts["recall"] > 0.9, "and nothing is to be seen in the mix")
    live = live_generation(watcher)
    watcher.decision(
        "act",
        "a sensor starts a rebuild",
        since=since,
        where=lambda found: found.actor == "reindex_on_lost_recall",
    )
    watcher.decision("release", "the new generation passes its gates", since=since)
    watcher.expect(live_generation(watcher) != live, "readers see the new generation")
    watcher.tell(f"live: {live} -> {live_generation(watcher)}")


def live_generation(watcher: Watcher) -> str:
    """The generation that readers see; empty when there is none."""
    live = LivePointer(watcher.lake, "milvus", INDEX).live()
    return live.generation if live else ""


def newest_index(watcher: Watcher) -> Any:
    """The model's newest generation: its name, rows and status."""
    states = IndexStates(watcher.lake.index_state, "milvus", INDEX)
    state = states.newest(MODEL)
    return (state.generation, state.rows, state.status) if state else None


def vectors(watcher: Watcher) -> int:
    """How many vectors the model has in the lake."""
    rows = watcher.lake.embeddings.read(["content_hash"], where=[("model_version", "==", MODEL)])
    return int(rows.num_rows)
