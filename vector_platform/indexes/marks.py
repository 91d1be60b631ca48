"""Whose a place in a backend is: the mark it bears, and what speaks against touching it.

Belongs here: pure functions over marks, which are short texts by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vector_platform.indexes.contract import Generation, NotOurs

# Says "the platform made this".
CREATOR: Final = "vector_platform"
# A full identity is long; so much of it tells lakes apart for a reader.
SHOWN_IDENTITY: Final = 8


def mark(generation: Generation) -> dict[str, str]:
    """What a place says of who made it and for what."""
    whose = {"lake": generation.lake} if generation.lake else {}
    return {
        "creator": CREATOR,
        "index": generation.index,
        "model_version": generation.model_version,
        "dimension": str(generation.dimension),
        **whose,
    }


def is_marked(found: Mapping[str, str] | None, index: str) -> bool:
    """Whether the platform made a place for this logical index, for whichever lake."""
    return found is not None and found.get("creator") == CREATOR and found.get("index") == index


def marked_for(found: Mapping[str, str], index: str, name: str) -> Generation:
    """The generation that a marked place was made for."""
    return Generation(
        index=index,
        name=name,
        model_version=found.get("model_version", ""),
        dimension=int(found.get("dimension", 0)),
        lake=found.get("lake", ""),
    )


def require_mark(found: Mapping[str, str] | None, wanted: Mapping[str, str], what: str) -> None:
    """See that a place is what it is wanted for, and that nobody else's.

    Args:
        found: The mark that it bears; None when it has none of the platform.
        wanted: The mark that it should bear.
        what: Backend and place, for an error.

    Raises:
        NotOurs: It is not.
    """
    if found is None or found.get("creator") != CREATOR:
        raise NotOurs(
            f"{what} exists and the platform did not create it. Nothing has been changed: rename "
            "or remove it, or give the index another name (indexes.name)"
        )
    if found.get("lake", "") != wanted.get("lake", ""):
        raise NotOurs(f"{what} {whose(found.get('lake', ''), wanted.get('lake', ''))}")
    odd = [key for key, value in wanted.items() if found.get(key) != value]
    if odd:
        shown = ", ".join(f"{key} {found.get(key)!r} instead of {wanted[key]!r}" for key in odd)
        raise NotOurs(f"{what} was built for something else: {shown}")


def whose(found: str, wanted: str) -> str:
    """In words: to which lake a place belongs instead of ours, and the ways out."""
    owner = (
        f"belongs to lake {found[:SHOWN_IDENTITY]}, and this one is {shown_lake(wanted)}"
        if found
        else "was made before lakes had an identity"
    )
    return f"{owner}. {WAYS_OUT}"


def shown_lake(identity: str) -> str:
    """A lake's identity, short enough to read."""
    return identity[:SHOWN_IDENTITY] or "new"


WAYS_OUT: Final = (
    "Nothing has been changed. Give this index another name (indexes.name), or its backend another "
    "database or project; or, if it is to be this lake's from now on, look what that would change "
    "with `vector-platform index adopt` and repeat it with --reason WHY"
)
