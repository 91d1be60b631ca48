"""Kinds of golden queries that are judged apart: by tenant, set, length and script.

Belongs here: naming the slices of a query from what is asked. A mean can hide that one kind of
question is answered no longer.
"""

from __future__ import annotations

import unicodedata
from collections import Counter

# Words: keywords, a phrase, a sentence or more.
SHORT = 3
LONG = 9


def query_slices(text: str, *, set_name: str, tenant: str | None) -> tuple[str, ...]:
    """Names of the slices that a query is in."""
    words = len(text.split())
    length = "short" if words <= SHORT else "medium" if words < LONG else "long"
    owner = (f"tenant {tenant}",) if tenant else ()
    return (*owner, f"set {set_name}", f"length {length}", f"script {_script(text)}")


def _script(text: str) -> str:
    """The script that most letters are of, by the first word of their Unicode names."""
    letters = [unicodedata.name(char, "other").partition(" ")[0] for char in text if char.isalpha()]
    if not letters:
        return "none"
    return min(Counter(letters).items(), key=lambda item: (-item[1], item[0]))[0].lower()
