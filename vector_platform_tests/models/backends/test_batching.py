"""The plan of batches, by properties."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.models.backends.batching import padded_length, plan_batches

MAX = 512
lengths = st.lists(st.integers(1, MAX), max_size=200)


@given(lengths, st.integers(64, 4096), st.booleans())
def test_every_text_is_in_exactly_one_batch_that_holds_it(
    tokens: list[int], batch_tokens: int, stable: bool
) -> None:
    batches = list(
        plan_batches(np.array(tokens), max_tokens=MAX, batch_tokens=batch_tokens, stable=stable)
    )
    rows = [row for batch in batches for row in batch.rows.tolist()]
    assert sorted(rows) == list(range(len(tokens)))
    for batch in batches:
        assert all(tokens[row] <= batch.length for row in batch.rows)
        assert len(batch.rows) <= batch.size
        assert batch.size == 1 or batch.size * batch.length <= batch_tokens


@given(st.integers(1, MAX), lengths, st.integers(64, 4096))
def test_the_shape_a_text_meets_does_not_depend_on_the_others(
    own: int, others: list[int], batch_tokens: int
) -> None:
    def shape(tokens: list[int]) -> tuple[int, int]:
        plan = plan_batches(
            np.array(tokens), max_tokens=MAX, batch_tokens=batch_tokens, stable=True
        )
        return next((b.size, b.length) for b in plan if 0 in b.rows)

    assert shape([own]) == shape([own, *others])


@given(st.integers(0, 32768), st.integers(8, 32768))
def test_padding_is_bounded(tokens: int, max_tokens: int) -> None:
    tokens = min(tokens, max_tokens)
    length = padded_length(tokens, max_tokens=max_tokens)
    assert tokens <= length <= max_tokens
    assert length - tokens <= max(16, tokens / 8)
