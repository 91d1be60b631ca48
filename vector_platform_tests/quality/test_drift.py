from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from vector_platform.quality import plots
from vector_platform.quality.drift import two_sample
from vector_platform.quality.features import MAX_ROWS
from vector_platform.quality.statistics import Estimate
from vector_platform.quality.windows import measure_drift, reference_and_current
from vector_platform_tests.lake.building import MODEL, append_vectors, open_lake, register


def topics(seed: int, count: int, dimension: int = 64) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((count, dimension))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


HOME, ABROAD = topics(1, 12), topics(2, 2)


def texts(rng: np.random.Generator, count: int, centres: np.ndarray = HOME) -> np.ndarray:
    """Unit vectors around topics, as spread out as those of real texts."""
    chosen = centres[rng.integers(0, len(centres), count)]
    drawn = chosen + 0.8 * rng.standard_normal(chosen.shape) / np.sqrt(chosen.shape[1])
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def contaminated(rng: np.random.Generator, count: int, share: float) -> np.ndarray:
    foreign = int(share * count)
    return np.concatenate([texts(rng, count - foreign), texts(rng, foreign, ABROAD)])


def test_false_alarms_stay_within_the_level() -> None:
    rng, trials, alpha = np.random.default_rng(0), 100, 0.05
    alarms = sum(
        two_sample(texts(rng, 70), texts(rng, 50), alpha=alpha, seed=trial).drifted
        for trial in range(trials)
    )
    # The chance of more alarms than this, when the level holds, is one in a thousand ...
    assert alarms <= binom.ppf(0.999, trials, alpha)
    # ... and so is that of fewer: the test is exact, not merely cautious.
    assert alarms >= max(1, binom.ppf(0.001, trials, alpha))


def test_a_fifth_from_another_domain_is_found_in_300_rows() -> None:
    rng = np.random.default_rng(1)
    for seed in range(4):
        result = two_sample(texts(rng, 1500), contaminated(rng, 300, 0.2), alpha=0.001, seed=seed)
        assert result.drifted
        assert result.effect_low > 0.5


def test_a_change_of_shape_with_the_same_mean_is_found() -> None:
    rng = np.random.default_rng(2)
    wide = rng.standard_normal((600, 16)).astype(np.float32)
    narrow = 0.6 * rng.standard_normal((300, 16)).astype(np.float32)
    assert two_sample(wide, narrow, alpha=0.001).drifted


def test_the_order_of_the_rows_changes_nothing_and_neither_does_a_second_run() -> None:
    rng = np.random.default_rng(3)
    reference, current = texts(rng, 200), contaminated(rng, 100, 0.1)
    first = two_sample(reference, current, alpha=0.01, current_ids=[f"c{i}" for i in range(100)])
    order = rng.permutation(100)
    second = two_sample(
        reference[::-1], current[order], alpha=0.01, current_ids=[f"c{i}" for i in order]
    )
    assert first == second
    np.random.seed(99)
    assert first == two_sample(
        reference, current, alpha=0.01, current_ids=[f"c{i}" for i in range(100)]
    )


def test_the_evaluation_id_follows_the_data_and_the_settings() -> None:
    rng = np.random.default_rng(4)
    reference, current = texts(rng, 60), texts(rng, 60)
    ids = {
        two_sample(reference, current, alpha=0.01).evaluation_id,
        two_sample(reference, current[1:], alpha=0.01).evaluation_id,
        two_sample(reference[1:], current, alpha=0.01).evaluation_id,
        two_sample(reference, current, alpha=0.02).evaluation_id,
        two_sample(reference, current, alpha=0.01, seed=1).evaluation_id,
    }
    assert len(ids) == 5


@pytest.mark.parametrize(("old", "new"), [(49, 500), (500, 49), (0, 100), (100, 0)])
def test_too_few_rows_are_never_an_alarm(old: int, new: int) -> None:
    rng = np.random.default_rng(5)
    result = two_sample(texts(rng, old), texts(rng, new, ABROAD), alpha=0.05, min_rows=50)
    assert result.outcome == "not enough data" and not result.drifted
    assert (result.reference_rows, result.current_rows) == (old, new)


def test_equal_rows_are_no_drift_and_no_error() -> None:
    same = np.tile(HOME[:1].astype(np.float32), (80, 1))
    assert two_sample(same, same, alpha=0.05).outcome == "stable"


def test_the_strangest_rows_are_named_first() -> None:
    rng = np.random.default_rng(6)
    current = np.concatenate([texts(rng, 95), texts(rng, 5, ABROAD)])
    names = [f"home{i}" for i in range(95)] + [f"abroad{i}" for i in range(5)]
    result = two_sample(texts(rng, 400), current, alpha=0.05, current_ids=names)
    assert {name[:6] for name in result.farthest[:5]} == {"abroad"}


def test_a_large_side_is_reduced_to_the_same_rows_every_time() -> None:
    rng = np.random.default_rng(7)
    many = texts(rng, 4 * MAX_ROWS)
    result = two_sample(many, texts(rng, 200), alpha=0.05)
    assert result.reference_rows == MAX_ROWS
    assert two_sample(many[::-1], texts(rng, 200), alpha=0.05).reference_rows == MAX_ROWS


# -- windows of the lake --------------------------------------------------------------------


def hashes(start: int, count: int) -> list[str]:
    return [f"{(i * 2654435761) % 2**32:08x}{i:024x}" for i in range(start, start + count)]


def test_the_newest_runs_that_hold_enough_rows_are_current(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    register(lake, dimension=64)
    register(lake, "other.v1", dimension=64)
    rng = np.random.default_rng(8)
    for day, (run, start, count) in enumerate(
        [("r1", 0, 200), ("r2", 200, 60), ("r3", 260, 30), ("r4", 290, 30)]
    ):
        vectors = dict(zip(hashes(start, count), texts(rng, count), strict=True))
        append_vectors(lake, MODEL, vectors, run_id=run, day=day)
        append_vectors(lake, "other.v1", vectors, run_id="x", day=9)
    reference, current = reference_and_current(lake, MODEL, min_rows=50)
    assert (reference.runs, current.runs) == (("r1", "r2"), ("r3", "r4"))
    assert (reference.total, current.total) == (260, 60)
    assert set(current.content_hashes) == set(hashes(260, 60))
    assert current.vectors.shape == (60, 64)
    earlier = reference_and_current(lake, MODEL, min_rows=50, embeddings_version=3)
    assert earlier[1].runs == ("r2",)


def test_the_first_embedding_of_a_corpus_is_not_judged(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    register(lake, dimension=64)
    vectors = texts(np.random.default_rng(9), 100)
    append_vectors(lake, MODEL, dict(zip(hashes(0, 100), vectors, strict=True)))
    assert measure_drift(lake, MODEL, alpha=0.05, min_rows=50).outcome == "not enough data"


def test_drift_is_measured_once_for_the_same_lake_and_anew_after_a_batch(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    register(lake, dimension=64)
    rng = np.random.default_rng(10)
    for day, vectors in enumerate([texts(rng, 400), texts(rng, 100, ABROAD), texts(rng, 100)]):
        named = dict(zip(hashes(day * 1000, len(vectors)), vectors, strict=True))
        append_vectors(lake, MODEL, named, run_id=f"r{day}", day=day)
        if day == 1:
            drifted = measure_drift(lake, MODEL, alpha=0.001, min_rows=50)
            assert drifted.drifted
            assert set(drifted.farthest) <= set(named)
            assert drifted == measure_drift(lake, MODEL, alpha=0.001, min_rows=50)
    after = measure_drift(lake, MODEL, alpha=0.001, min_rows=50)
    assert after.evaluation_id != drifted.evaluation_id


def test_a_large_partition_is_sampled_by_its_smallest_hashes(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    register(lake, dimension=64)
    rng = np.random.default_rng(11)
    names = hashes(0, MAX_ROWS + 50)
    append_vectors(lake, MODEL, dict(zip(names, texts(rng, len(names)), strict=True)))
    new = dict(zip(hashes(9000, 60), texts(rng, 60), strict=True))
    append_vectors(lake, MODEL, new, run_id="new", day=1)
    reference, _ = reference_and_current(lake, MODEL, min_rows=50)
    assert reference.total == MAX_ROWS + 50
    assert list(reference.content_hashes) == sorted(names)[:MAX_ROWS]


# -- pictures -------------------------------------------------------------------------------


def test_pictures_are_small_pngs_that_fit_into_markdown() -> None:
    rng = np.random.default_rng(12)
    for png in (
        plots.projection(texts(rng, 3000), contaminated(rng, 500, 0.3), title="drift"),
        plots.metric_bars({"a.v1": Estimate(0.6, 0.5, 0.7, 9)}, metric="nDCG@10"),
    ):
        assert png.startswith(b"\x89PNG")
        assert len(png) < 60_000
        assert plots.as_markdown(png, "alt").startswith("![alt](data:image/png;base64,iVBOR")
