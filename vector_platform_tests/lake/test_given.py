"""What a given vector must be, and what is stored of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.lake.contract import UNIT_NORM_TOLERANCE
from vector_platform.lake.given import NotAVector, VectorColumn, given_vector
from vector_platform_tests.tiers import examples

UNIT = VectorColumn("mine.v1", "embedding", 3)
SCALED = replace(UNIT, norm="scale")
HOSTILE: dict[str, tuple[Any, str]] = {
    "nothing": (None, "is null, not a list"),
    "a number": (0.5, "of type float"),
    "an object": ({"0": 1.0}, "is an object"),
    "a word": ("one, two", "holds no JSON list"),
    "a JSON object": ('{"a": 1}', "is an object"),
    "NaN in JSON": ("[NaN, 0, 1]", "no finite number at place 0"),
    "infinity in JSON": ("[1e999, 0, 0]", "no finite number at place 0"),
    "a very long text": ("[" * 1000, "characters"),
    "a short one": ([0.6, 0.8], "has 2 numbers, and mine.v1 has 3"),
    "a long one": ([0.0] * 4, "has 4 numbers"),
    "an empty one": ([], "has 0 numbers"),
    "a nested one": ([[1.0, 0.0, 0.0]] * 3, "holds a list at place 0"),
    "texts": (["1.0", "0", "0"], "holds text at place 0"),
    "a truth": ([True, 0, 0], "holds a truth at place 0"),
    "a null": ([1.0, None, 0.0], "holds null at place 1, not a number; a NaN lands as null"),
    "NaN": ([float("nan"), 0.0, 1.0], "no finite number"),
    "infinity": ([0.0, float("-inf"), 1.0], "no finite number at place 1"),
    "beyond float32": ([1e39, 0.0, 0.0], "beyond float32"),
    "beyond float64": ([10**400, 0, 0], "no finite number"),
    "zero": ([0.0, 0.0, 0.0], "no direction"),
}


@pytest.mark.parametrize("norm", ["unit", "scale"])
@pytest.mark.parametrize(("value", "says"), HOSTILE.values(), ids=list(HOSTILE))
def test_what_is_no_vector_is_refused_by_its_name(value: Any, says: str, norm: Any) -> None:
    with pytest.raises(NotAVector, match=says.replace("[", r"\[")):
        given_vector(value, replace(UNIT, norm=norm))


def test_a_length_that_is_not_one_is_refused_with_the_way_out_unless_it_is_to_be_scaled() -> None:
    with pytest.raises(NotAVector, match=r"has length 5, not 1; .* norm: scale for mine\.v1"):
        given_vector([3.0, 4.0, 0.0], UNIT)
    assert given_vector([3, 4, 0], SCALED).tolist() == pytest.approx([0.6, 0.8, 0.0])


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1.0, 1e30])
def test_a_vector_of_any_length_above_zero_is_scaled_exactly(size: float) -> None:
    found = given_vector([3 * size, 0.0, -4 * size], SCALED)
    assert found.tolist() == pytest.approx([0.6, 0.0, -0.8])


finite = st.floats(-1e6, 1e6, width=32)
vectors = st.lists(finite, min_size=3, max_size=3).filter(lambda v: np.linalg.norm(v) > 1e-3)


@examples(100)
@given(vectors)
def test_a_unit_vector_of_float32_keeps_its_bits_as_a_list_and_as_a_text(v: list[float]) -> None:
    unit = (np.array(v) / np.linalg.norm(v)).astype(np.float32)
    for value in (unit.tolist(), json.dumps(unit.tolist())):
        assert np.array_equal(given_vector(value, UNIT), unit)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=6,
)


@examples(100)
@given(anything | vectors | st.lists(st.floats(), min_size=3, max_size=3))
def test_any_value_is_a_unit_vector_afterwards_or_refused(value: Any) -> None:
    for wanted in (UNIT, SCALED):
        try:
            found = given_vector(value, wanted)
        except NotAVector:
            continue
        assert found.dtype == np.float32 and found.shape == (3,)
        assert abs(float(np.linalg.norm(found.astype(np.float64))) - 1) <= UNIT_NORM_TOLERANCE
