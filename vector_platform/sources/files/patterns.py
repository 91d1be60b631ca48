"""Globs, which are what a person wrote as one: a part of a path that is no name of anything.

Belongs here: which parts of a path are a pattern, and what it matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_MAGIC = re.compile(r"[*?\[]")
_PIECES = re.compile(r"\*+|\?|\[!?[^\]]+\]|.", re.DOTALL)


def fixed_parts(parts: Sequence[str], exists: Callable[[Sequence[str]], bool]) -> int:
    """How many parts of a path are names: what looks like a pattern may be called so."""
    for number, part in enumerate(parts):
        if _MAGIC.search(part) and not exists(parts[: number + 1]):
            return number
    return len(parts)


def depth_of(pattern: Sequence[str]) -> int | None:
    """How many folders deep a pattern reaches; None for any number."""
    return None if "**" in pattern else len(pattern) - 1


def matcher(pattern: Sequence[str]) -> Callable[[str], bool]:
    """Whether a relative path is what a glob means. `**` is any number of folders."""
    text = ""
    for part in pattern[:-1]:
        text += "(?:[^/]+/)*" if part == "**" else f"{_segment(part)}/"
    text += ".+" if pattern[-1] == "**" else _segment(pattern[-1])
    compiled = re.compile(text, re.DOTALL)
    return lambda relative: compiled.fullmatch(relative) is not None


def _segment(part: str) -> str:
    """One name of a glob as a regular expression; with brackets, also the name itself."""
    pieces = []
    for piece in _PIECES.findall(part):
        if piece[0] == "*":
            pieces.append("[^/]*")
        elif piece == "?":
            pieces.append("[^/]")
        elif len(piece) > 1:
            inside = re.sub(r"([\\\[^&~|])", r"\\\1", piece[1:-1].removeprefix("!"))
            pieces.append(f"[^/{inside}]" if piece[1] == "!" else f"[{inside}]")
        else:
            pieces.append(re.escape(piece))
    glob = "".join(pieces)
    try:
        re.compile(glob)
    except re.error:  # [z-a]
        return re.escape(part)
    return f"(?:{glob}|{re.escape(part)})" if "[" in part else glob
