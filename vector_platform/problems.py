"""A problem of a deployment that a look finds before anything runs.

Belongs here: the form in which every room tells what it found (`preflight.py` puts the looks
together), and the nearest name to one that is not known.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from vector_platform.masking import masked


@dataclass(frozen=True)
class Problem:
    """Something that would end a run, or leave a source out of it.

    Attributes:
        part: Where in `platform.yaml`: the names from the top to the setting.
        what: What is wrong and the way out, without secrets.
        passing: Whether it may pass by itself: somebody does not answer.
    """

    part: tuple[str, ...]
    what: str
    passing: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", masked(self.what))

    @property
    def place(self) -> str:
        """The setting as people write it: `sources.notes.path`."""
        return ".".join(self.part) or "(file)"

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing when no known name is near."""
    folded = {one.casefold(): one for one in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[found[0]]!r}?" if found else ""
