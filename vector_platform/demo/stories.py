"""The stories by number, and playing one.

Belongs here: the order of things in a play: a fresh world, everything brought up to date once,
then the daemon alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vector_platform.demo.stale_cells import STALE_CELLS
from vector_platform.demo.story import Story
from vector_platform.demo.stream import Stream
from vector_platform.demo.swapped_model import SWAPPED_MODEL
from vector_platform.demo.topic_moves import TOPIC_MOVES
from vector_platform.demo.watcher import Say, Watcher
from vector_platform.demo.world import World

STORIES: Mapping[int, Story] = {1: TOPIC_MOVES, 2: SWAPPED_MODEL, 3: STALE_CELLS}


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
