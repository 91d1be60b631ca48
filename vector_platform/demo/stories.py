"""The three stories: what happens, what the platform must do about it, and the end.

Belongs here: expectations, in the order in which they must come true; one that does not is an
error that says what was missing. Does not belong here: how a world is made (`world.py`) or followed
(`watcher.py`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vector_platform.demo.stream import NEW_TEAM, Day, Stream
from vector_platform.demo.watcher import Say, Watcher
from vector_platform.demo.world import MODEL, SOURCE, World
from vector_platform.indexes.state import IndexStates
from vector_platform.models.origins import find_weights
from vector_platform.releases.pointer import LivePointer
from vector_platform.settings import Model

INDEX = "documents"
DRIFT = "lake/embeddings:distribution_has_not_drifted"
CANARIES = "lake/embeddings:model_answers_as_registered"
RECALL = f"milvus/{INDEX}:index_recall_holds"
PARITY = f"milvus/{INDEX}:index_matches_lake"

REFERENCE_DAYS = 60
GOLDEN_QUERIES = 300
# Tickets about the new topic on its first day, beside some fifty usual ones.
NEW_A_DAY = 60
# And on the days after.
NEW_LATER = 12
GOLDEN = {"known": {"source": SOURCE, "kind": "beir", "path": "golden"}}
# Noise of this share of a weight's size: what a careless conversion of weights does.
NOISE = 0.05


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


def play(number: int, folder: Path, say: Say, *, keep: bool = False) -> None:
    """Play one story from an empty folder to its end.

    Args:
        number: 1, 2 or 3.
        folder: Where its deployment is made.
        say: Prints a line.
        keep: Leave the servers running, so that the deployment can be looked at.

    Raises:
        StoryIncomplete: Something that must follow did not.
    """
    story = STORIES[number]
    say(f"Story {number}: {story.title}")
    world, stream = World(folder, story.settings), Stream()
    try:
        story.prepare(world, stream)
        for line in world.start():
            say(f"    {line}")
        watcher = Watcher(world, say)
        try:
            world.start_daemon()
            watcher.tell("the daemon is started; from here on it is left alone")
            story.play(world, watcher, stream)
            watcher.rest()
        finally:
            watcher.close()
    finally:
        world.stop(keep_servers=keep)


# -- 1: the topic moves ---------------------------------------------------------------------


def _prepare_days(world: World, stream: Stream) -> None:
    days = list(stream.days(REFERENCE_DAYS))
    tickets = [ticket for day in days for ticket in day.tickets]
    world.land("reference", tickets)
    world.ask(tickets[:: len(tickets) // GOLDEN_QUERIES])


def _topic_moves(world: World, watcher: Watcher, stream: Stream) -> None:
    (quiet,) = stream.days(1)
    since = _land(world, watcher, quiet, "a day like the others")
    calm = watcher.check(DRIFT, f"{quiet.date} is judged", since=since, where=_of(quiet))
    watcher.expect(calm.passed is True, f"no alarm on {quiet.date}")
    watcher.check(RECALL, "recall is measured", since=since, where=lambda found: bool(found.passed))
    watcher.rest()

    (moved,) = stream.days(1, new=NEW_A_DAY)
    since = _land(world, watcher, moved, f"team {NEW_TEAM} turns to something new")
    alarm = watcher.check(DRIFT, f"{moved.date} is judged", since=since, where=_of(moved))
    teams = [one["tenant"] for one in alarm.facts["slices_alarmed"]]
    watcher.expect(alarm.passed is False, f"an alarm on {moved.date}")
    watcher.expect(bool(alarm.facts["acts"]), "an alarm that is large enough to act on")
    watcher.expect(teams == [NEW_TEAM], f"the alarm names team {NEW_TEAM} only, not {teams}")
    _recall_is_lost_and_rebuilt(world, watcher, since)
    watcher.rest()

    (after,) = stream.days(1, new=NEW_LATER)
    since = _land(world, watcher, after, "the new topic stays")
    watcher.check(RECALL, "recall is back", since=since, where=lambda found: bool(found.passed))
    watcher.decision(
        "act",
        "the moved distribution is accepted, now that the index is faithful",
        since=since,
        where=lambda found: found.actor == "recalibrate_on_drift",
    )
    watcher.rest()

    (last,) = stream.days(1, new=NEW_LATER)
    since = _land(world, watcher, last, "one more day of it")
    known = watcher.check(DRIFT, f"{last.date} is judged", since=since, where=_of(last))
    watcher.expect(known.passed is True, f"what is known by now is no alarm on {last.date}")
    watcher.expect(known.facts["reference"] == 2, "judged by the second reference")


# -- 2: the model is swapped ----------------------------------------------------------------


def _prepare_model(world: World, stream: Stream) -> None:
    package = Model(package="wordllama", kind="static", max_tokens=512)
    cache = world.settings.data_dir / "models"
    weights = find_weights(MODEL, package, cache_dir=cache, root=world.folder)
    shutil.copytree(weights, world.folder / "model")
    tickets = [ticket for day in stream.days(5) for ticket in day.tickets]
    world.land("reference", tickets)
    world.ask(tickets[::2])


def _model_is_swapped(world: World, watcher: Watcher, stream: Stream) -> None:
    (day,) = stream.days(1)
    since = _land(world, watcher, day, "a day like the others")
    good = watcher.check(CANARIES, "the canaries are asked", since=since)
    watcher.expect(good.passed is True, "the model answers as registered")
    watcher.check(PARITY, "the index follows", since=since)
    watcher.rest()

    before = (_vectors(watcher), _index(watcher), _live(watcher))
    swap_weights(world.folder / "model" / "model.safetensors")
    (day,) = stream.days(1)
    since = _land(world, watcher, day, "the weights were swapped: same name, size and date")
    bad = watcher.check(CANARIES, "the canaries are asked", since=since)
    watcher.expect(bad.passed is False, "the canaries fail")
    watcher.expect(bool(bad.facts["fingerprint_matches"]), "the fingerprint sees nothing")
    watcher.decision(
        "act",
        "a sensor acts on the changed model",
        since=since,
        where=lambda found: found.before == "model_changed",
    )
    request = watcher.decision("request", "a new model version is proposed", since=since)
    watcher.rest()
    after = (_vectors(watcher), _index(watcher), _live(watcher))
    watcher.expect(after == before, f"lake and index of {MODEL} are as before the swap")
    watcher.tell(f"proposed: {request.subject}; {MODEL} stays live and holds no swapped vector")


def swap_weights(path: Path) -> None:
    """Replace weights by slightly wrong ones of the same size and date.

    The platform remembers hashes of files by size and date, as build tools do, so the fingerprint
    stays what it was. Images whose files all carry the date of a release do this to everybody.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    dated = path.stat()
    weights = load_file(path)["embedding.weight"]
    noise = np.random.default_rng(0).standard_normal(weights.shape, dtype=np.float32)
    save_file({"embedding.weight": weights + NOISE * weights.std() * noise}, path)
    os.utime(path, ns=(dated.st_atime_ns, dated.st_mtime_ns))


# -- 3: the index is older than its content -------------------------------------------------


def _prepare_index(world: World, stream: Stream) -> None:
    days = stream.days(20, a_day=54)
    world.land("reference", [ticket for day in days for ticket in day.tickets])


def _cells_are_stale(world: World, watcher: Watcher, stream: Stream) -> None:
    (new,) = stream.days(1, new=NEW_A_DAY)
    since = _land(world, watcher, new, "content that the index has never seen")
    _recall_is_lost_and_rebuilt(world, watcher, since)
    watcher.rest()
    (after,) = stream.days(1, new=NEW_LATER)
    since = _land(world, watcher, after, "the day after")
    back = watcher.check(RECALL, "recall is measured again", since=since)
    watcher.expect(back.passed is True, "recall is back in every slice")


# -- what stories share ---------------------------------------------------------------------


def _land(world: World, watcher: Watcher, day: Day, what: str) -> Any:
    """Let a day arrive. Returns the moment before it."""
    since = watcher.now()
    watcher.tell(f"{day.date} arrives, {len(day.tickets)} tickets: {what}")
    world.land(day.date.isoformat(), day.tickets)
    return since


def _of(day: Day) -> Callable[[Any], bool]:
    return lambda found: bool(found.facts.get("day") == day.date.isoformat())


def _recall_is_lost_and_rebuilt(world: World, watcher: Watcher, since: Any) -> None:
    """Recall is lost on what is new and nowhere else; a sensor rebuilds; readers get it."""
    lost = watcher.check(
        RECALL, "recall is lost", since=since, where=lambda found: found.passed is False
    )
    watcher.expect("since the build" in lost.facts["worst_slice"], "the new slice is the worst")
    watcher.expect(lost.facts["worst_recall"] < 0.8, "much is lost on the new slice")
    watcher.expect(lost.facts["recall"] > 0.9, "and nothing is to be seen in the mix")
    live = _live(watcher)
    watcher.decision(
        "act",
        "a sensor starts a rebuild",
        since=since,
        where=lambda found: found.actor == "reindex_on_lost_recall",
    )
    watcher.decision("release", "the new generation passes its gates", since=since)
    watcher.expect(_live(watcher) != live, "readers see the new generation")
    watcher.tell(f"live: {live} -> {_live(watcher)}")


def _live(watcher: Watcher) -> str:
    live = LivePointer(watcher.lake, "milvus", INDEX).live()
    return live.generation if live else ""


def _index(watcher: Watcher) -> Any:
    states = IndexStates(watcher.lake.index_state, "milvus", INDEX)
    state = states.newest(MODEL)
    return (state.generation, state.rows, state.status) if state else None


def _vectors(watcher: Watcher) -> int:
    """How many vectors the model has in the lake."""
    rows = watcher.lake.embeddings.read(["content_hash"], where=[("model_version", "==", MODEL)])
    return int(rows.num_rows)


def _cells(opened: int) -> dict[str, Any]:
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


STORIES: Mapping[int, Story] = {
    1: Story(
        "the topic of the stream moves",
        {
            "indexes": {"milvus": _cells(6)},
            "quality": {"drift_reference_days": REFERENCE_DAYS, "recall_floor": 0.85},
            "golden_queries": GOLDEN,
            "acting": {"accept_reference": {"by": "auto", "cooldown_hours": 0}},
            "releases": {"watch_minutes": 0},
        },
        _prepare_days,
        _topic_moves,
    ),
    2: Story(
        "the embedding model is swapped behind its name",
        {
            "models": {MODEL: {"path": "model", "kind": "static", "max_tokens": 512}},
            "golden_queries": GOLDEN,
            "releases": {"approvers": ["model-owner"], "watch_minutes": 0},
        },
        _prepare_model,
        _model_is_swapped,
    ),
    3: Story(
        "an IVF index is older than what it holds",
        {
            "indexes": {"milvus": _cells(5)},
            "releases": {"watch_minutes": 0},
        },
        _prepare_index,
        _cells_are_stale,
    ),
}
