"""Maps between vector spaces: what they recover, and what their bits depend on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.models.derived.vector_map import (
    BLOCK_ROWS,
    VectorMap,
    agreement,
    fit_alignment,
    load_map,
)


def unit(seed: int, rows: int, dimension: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def rotation(seed: int, old: int, new: int) -> np.ndarray:
    """Orthonormal rows: a turn of the old space into one of as many or more dimensions."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((new, old)))[0].T


@given(seed=st.integers(0, 2**16), old=st.integers(2, 12), more=st.integers(0, 6))
def test_a_turned_space_is_recovered_from_pairs_and_holds_for_vectors_not_seen(
    seed: int, old: int, more: int
) -> None:
    turn = rotation(seed, old, old + more)
    pairs, unseen = unit(seed, 200, old), unit(seed + 1, 40, old)
    fitted = fit_alignment(pairs, (pairs @ turn).astype(np.float32))
    assert np.abs(fitted.apply(unseen) - unseen @ turn).max() < 1e-4


def test_a_linear_map_that_is_no_turn_is_recovered_by_the_ridge() -> None:
    random = np.random.default_rng(3)
    stretch = rotation(1, 8, 8) @ np.diag(np.linspace(0.2, 3.0, 8))
    old = unit(5, 4000, 8)
    new = old @ stretch + 0.3 * random.standard_normal(8)
    # The new model scales each vector to unit norm, so no affine map is exact; the ridge is near.
    new = (new / np.linalg.norm(new, axis=1, keepdims=True)).astype(np.float32)
    fitted = fit_alignment(old[:3000], new[:3000])
    assert fitted.method.startswith("ridge")
    assert agreement(fitted.apply(old[3000:]), new[3000:]) > 0.95


@given(rows=st.integers(1, 2 * BLOCK_ROWS + 3), seed=st.integers(0, 99))
def test_the_bits_of_a_vector_do_not_depend_on_the_others_of_its_batch(
    rows: int, seed: int
) -> None:
    vectors = unit(7, rows, 16)
    random = np.random.default_rng(seed)
    vector_map = VectorMap(random.standard_normal((16, 24)), random.standard_normal(24), "any")
    together = vector_map.apply(vectors)
    chosen = sorted(random.choice(rows, size=min(rows, 5), replace=False))
    assert np.array_equal(vector_map.apply(vectors[chosen]), together[chosen])
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() < 1e-6


def test_a_text_without_a_vector_does_not_get_one_by_alignment() -> None:
    vector_map = VectorMap(np.eye(3), np.ones(3), "any")
    assert not vector_map.apply(np.zeros((2, 3), dtype=np.float32)).any()


def test_agreement_is_one_for_the_same_vectors_and_near_zero_for_unrelated_ones() -> None:
    true = unit(1, 300, 32)
    assert agreement(true, true) == pytest.approx(1.0)
    assert abs(agreement(unit(2, 300, 32), true)) < 0.1


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        fit_alignment(unit(1, 2, 4), unit(2, 2, 4))
    with pytest.raises(ValueError, match="no 10 neighbours"):
        agreement(unit(1, 10, 4), unit(1, 10, 4))


def test_a_saved_map_reads_back_and_equal_maps_have_equal_bytes(tmp_path: Path) -> None:
    old, new = unit(1, 300, 6), unit(2, 300, 9)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        fit_alignment(old, new).save(tmp_path / folder)
    (first,), (second,) = ((tmp_path / folder).iterdir() for folder in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    loaded, fitted = load_map(tmp_path / "a"), fit_alignment(old, new)
    assert loaded.digest == fitted.digest
    assert loaded.method == fitted.method
    assert np.array_equal(loaded.apply(old), fitted.apply(old))
