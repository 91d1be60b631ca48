"""Conditions and attributes that generated tests draw: few keys, so that they meet often."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from vector_platform.indexes.filtering.conditions import (
    ORDERS,
    AllOf,
    AnyOf,
    Compared,
    Condition,
    Exists,
    Not,
    OneOf,
    Order,
)
from vector_platform_tests.integration.hostile_values import KNOWN

KEYS: Final = ("a", "b", "it's", 'x"] != "" or attributes["a', "back\\slash", "a/b", "$in", "é 🎈")
_TEXTS: Final = ("", "a", "A", "true", "1", '["a"]', "a%", *(text for text in KNOWN if text))
_NUMBERS: Final = (-(2**53), -1, 0, 0.0, 1, 1.0, 1.5, 5, 1e-300, 1e300, 2**53)

texts: Final = st.sampled_from(_TEXTS)
numbers: Final[st.SearchStrategy[int | float]] = st.sampled_from(_NUMBERS)
keys: Final = st.sampled_from(KEYS[:3]) | st.sampled_from(KEYS)
_ORDERS: Final[list[Order]] = list(ORDERS)

ATTRIBUTES: Final[st.SearchStrategy[dict[str, Any]]] = st.dictionaries(
    keys, texts | numbers | st.booleans() | st.lists(texts, max_size=3), max_size=4
)
_TESTS: Final[st.SearchStrategy[Condition]] = st.one_of(
    st.builds(
        OneOf,
        keys,
        st.lists(texts | numbers | st.booleans(), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(Compared, keys, st.sampled_from(_ORDERS), numbers),
    st.builds(Exists, keys),
)
CONDITIONS: Final[st.SearchStrategy[Condition]] = st.recursive(
    _TESTS,
    lambda part: st.one_of(
        st.builds(AllOf, st.lists(part, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(part, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, part),
    ),
    max_leaves=6,
)
