"""Which golden queries ask the same: by their words, and by nearly the same words.

Belongs here: grouping texts of queries.

Ten copies of a question are one observation. Counted as ten they make an accident look proven.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

# Share of words in common (Jaccard) from which two questions are one asked twice. "rotate the key
# of a secret" and "rotate a key of the secret" are (1.0), with another service named is not.
SAME_WORDS = 0.8
_WORD = re.compile(r"\w+")


def question_groups(texts: Mapping[str, str], owners: Mapping[str, str]) -> dict[str, str]:
    """Query -> the first query, by name, that asks the same of the same owner.

    Args:
        texts: Text of each query.
        owners: Tenant of a query; the same words in two tenants ask for other documents.
    """
    words = {query: _words(text) for query, text in texts.items()}
    spread = Counter(word for own in words.values() for word in own)
    leaders: dict[str, str] = {}
    # A leader is listed under its rarest words only: two sets with a share `SAME_WORDS` in common
    # have one of the first `1 + size - ceil(SAME_WORDS * size)` in common, in any fixed order.
    listed: dict[tuple[str, str], list[str]] = {}
    for query in sorted(texts):
        own = words[query]
        keys = [(owners.get(query, ""), word) for word in _rarest(own, spread)]
        found = {leader for key in keys for leader in listed.get(key, ())}
        alike = sorted(leader for leader in found if _alike(own, words[leader]))
        leaders[query] = alike[0] if alike else query
        if not alike:
            for key in keys:
                listed.setdefault(key, []).append(query)
    return leaders


def _words(text: str) -> frozenset[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    # A text without any word is a word of its own.
    return frozenset(_WORD.findall(plain)) or frozenset({plain.strip()})


def _rarest(words: frozenset[str], spread: Mapping[str, int]) -> list[str]:
    ordered = sorted(words, key=lambda word: (spread[word], word))
    needed = -(-int(SAME_WORDS * 100) * len(ordered) // 100)
    return ordered[: 1 + len(ordered) - needed]


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= SAME_WORDS * len(one | other)
