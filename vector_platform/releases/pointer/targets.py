"""Where a rollback goes: a generation by name, the one before a release, or the one before.

Belongs here: the pure choice from the history of the pointer.

A rollback names its target when it is asked for, and keeps it. Without a name it is the generation
before the newest release; a move that was itself a rollback is no release. So a rollback that is
repeated, for whatever reason, finds itself done and never turns forward again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vector_platform.errors import TerminalError
from vector_platform.releases.pointer.live import Release


class NothingToRollBackTo(TerminalError):
    """The live pointer has no earlier generation that still exists."""


@dataclass(frozen=True)
class Turn:
    """A rollback of one backend.

    Attributes:
        leaves: Generation that is taken back.
        target: Generation that is live afterwards.
        done: Whether that one is live already.
    """

    leaves: str
    target: str
    done: bool


def turn_of(
    history: Sequence[Release], backend: str, *, to: str | None = None, before: str | None = None
) -> Turn:
    """Which generation a rollback leaves, and which one it makes live.

    Args:
        history: Moves of the live pointer, oldest first.
        backend: Whose, for messages.
        to: Generation to make live.
        before: Release request, or one part of it: the generation before what it released.

    Raises:
        NothingToRollBackTo: There is no such generation.
    """
    if not history:
        raise NothingToRollBackTo(
            f"{backend} serves nothing yet, so there is no previous generation to go back to"
        )
    live = history[-1]
    if to is None and before is None and (left := live.known("rolled_back")):
        return Turn(left, live.generation, done=True)
    if before is not None:
        release = _release_of(history, before)
        if release is None:
            raise NothingToRollBackTo(f"{backend} has released nothing for {before}")
        to = release.previous_generation
    elif to is None:
        to = live.previous_generation
    elif to not in {release.generation for release in history}:
        known = ", ".join(dict.fromkeys(release.generation for release in history))
        raise NothingToRollBackTo(
            f"{backend} {to} has never been live, so nothing can go back to it (known: {known}); "
            "vector-platform release promote MODEL_VERSION --reason WHY makes it live"
        )
    if to is None:
        raise NothingToRollBackTo(f"{backend} has no previous generation to go back to")
    return Turn(live.generation, to, done=live.generation == to)


def _release_of(history: Sequence[Release], request: str) -> Release | None:
    """The move that a request, or a part of it, has led to."""
    for release in reversed(history):
        asked = release.known("request")
        if asked is not None and request in (asked, asked.partition("/")[0]):
            return release
    return None
