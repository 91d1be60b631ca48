"""Sketches add, subtract and follow the lake; the table always equals a full count."""

from __future__ import annotations

import shutil
from functools import reduce
from itertools import chain, pairwise
from operator import add
from pathlib import Path
from random import Random

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import SnapshotIncomplete
from vector_platform.quality.drift.calibration import (
    MIN_REFERENCE_DAYS,
    NotEnoughDays,
    first_reference,
    recalibrate_reference,
)
from vector_platform.quality.sketches.daily import Sketch, SketchReport, sync_sketches
from vector_platform.quality.sketches.feature_map import FeatureMap
from vector_platform.quality.sketches.fitting import fit
from vector_platform.quality.sketches.references import Reference, newest_reference
from vector_platform.quality.sketches.series import read_series
from vector_platform_tests.lake.building import MODEL, chunk, open_lake, put
from vector_platform_tests.quality.streams import ABROAD, EPOCH, Stream, date_of, texts, vectors

RNG = np.random.default_rng(0)
ROWS, TEXTS = vectors(RNG, 700), texts(RNG, 700)
MAP = fit(ROWS[:400], TEXTS[:400])
FEATURES = MAP(ROWS[400:], TEXTS[400:]).astype(np.float64)


def sketch_of(rows: list[int]) -> Sketch:
    return Sketch(len(rows), FEATURES[rows].sum(axis=0))


def same(left: Sketch, right: Sketch) -> bool:
    return left.rows == right.rows and left.sums.tobytes() == right.sums.tobytes()


parts = st.lists(st.lists(st.integers(0, 299), min_size=1, max_size=30), min_size=2, max_size=6)


@given(parts, st.randoms())
def test_sketches_merge_to_the_same_bytes_in_any_order(
    parts: list[list[int]], random: Random
) -> None:
    whole = sketch_of(sorted(chain.from_iterable(parts)))
    random.shuffle(parts)
    assert same(reduce(add, map(sketch_of, parts)), whole)


@given(parts)
def test_what_is_subtracted_leaves_no_trace(parts: list[list[int]]) -> None:
    first, *others = (sketch_of(part) for part in parts)
    total = reduce(add, [first, *others])
    for other in others:
        total -= other
    assert same(total, first)


@given(st.lists(st.integers(1, 299), min_size=1, max_size=4, unique=True))
def test_features_of_a_row_do_not_depend_on_what_is_mapped_with_it(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), 300]
    pieces = [MAP(ROWS[400 + a : 400 + b], TEXTS[400 + a : 400 + b]) for a, b in pairwise(bounds)]
    assert np.concatenate(pieces).astype(np.float64).tobytes() == FEATURES.tobytes()


def test_a_map_is_the_same_for_the_same_slice_and_keeps_its_name() -> None:
    assert fit(ROWS[:400], TEXTS[:400]).version == MAP.version
    assert fit(ROWS[1:401], TEXTS[1:401]).version != MAP.version


def test_a_map_tells_how_much_each_measure_varies_from_row_to_row() -> None:
    singles = [block for block in MAP.blocks if block.kind == "single"]
    assert [len(block.spreads) for block in singles] == [block.size for block in singles]
    told = np.concatenate([block.spreads for block in singles])
    seen = np.concatenate([FEATURES[:, block.columns].var(axis=0) for block in singles])
    varied = told > 0.1
    assert varied.any() and (seen[~varied] < 0.2).all()
    np.testing.assert_allclose(told[varied], seen[varied], rtol=0.35)


def test_any_text_has_features() -> None:
    odd = ["", " ", "日本語のテキスト", "<p>&amp;</p>", "1234", "a" * 100_000]
    features = MAP(ROWS[: len(odd)], odd)
    assert np.isfinite(features).all()
    assert features.shape == (len(odd), MAP.size)


def test_features_are_small_and_plain() -> None:
    assert MAP.size * 8 < 2600
    counts = FEATURES[:, MAP.columns["topics"].start : MAP.columns["cells"].stop]
    assert (counts.sum(axis=1) == 2).all()
    assert np.abs(FEATURES).max() <= 3


# -- in the lake ----------------------------------------------------------------------------

DAYS, A_DAY = 30, 20


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the days of a reference and one more, sketched."""
    folder = tmp_path_factory.mktemp("month")
    stream, rng = Stream(open_lake(folder)), np.random.default_rng(1)
    stream.add_days({day: vectors(rng, A_DAY) for day in range(DAYS + 1)})
    assert sync(stream.lake).recounted
    return folder


@pytest.fixture
def stream(month: Path, tmp_path: Path) -> Stream:
    """A copy of it that goes on."""
    shutil.copytree(month, tmp_path, dirs_exist_ok=True)
    return Stream(open_lake(tmp_path), made=(DAYS + 1) * A_DAY)


def sync(lake: Lake, *, days: int = DAYS) -> SketchReport:
    versions = lake.versions_by_day()
    reference = first_reference(lake, MODEL, versions, days=days, run_id="r")
    assert reference is not None
    return sync_sketches(lake, reference, versions, run_id="r")


def stored(lake: Lake) -> dict[tuple[object, ...], tuple[int, bytes]]:
    rows = lake.drift_sketches.read(where=[("model_version", "==", MODEL)]).to_pylist()
    return {
        (row["day"], row["tenant"], row["source"], row["map_version"]): (
            row["rows"],
            np.array(row["sums"]).tobytes(),
        )
        for row in rows
    }


def counted_anew(lake: Lake) -> dict[tuple[object, ...], tuple[int, bytes]]:
    """The table as a full count makes it, in a table of its own."""
    twin = Lake(lake.uri)
    twin.drift_sketches = type(twin.drift_sketches)(
        twin.drift_sketches.spec, f"{lake.uri}/twin{lake.drift_sketches.version()}", None
    )
    reference = newest_reference(lake, MODEL)
    assert reference is not None
    sync_sketches(twin, reference, twin.versions_by_day(), run_id="twin")
    return stored(twin)


def test_there_is_no_reference_before_its_days_have_passed(tmp_path: Path) -> None:
    stream = Stream(open_lake(tmp_path))
    rng = np.random.default_rng(2)
    stream.add_days({day: vectors(rng, A_DAY) for day in range(DAYS)})
    lake = stream.lake
    assert first_reference(lake, MODEL, lake.versions_by_day(), days=DAYS, run_id="r") is None
    stream.add(DAYS, vectors(rng, 3))
    reference = first_reference(lake, MODEL, lake.versions_by_day(), days=DAYS, run_id="r")
    assert reference is not None
    assert (reference.first_day, reference.last_day) == (date_of(0), date_of(DAYS - 1))
    version = lake.drift_references.version()
    again = first_reference(lake, MODEL, lake.versions_by_day(), days=DAYS, run_id="r2")
    assert again is not None and again.map.version == reference.map.version
    assert lake.drift_references.version() == version


def test_a_map_comes_back_from_the_lake_as_it_was(stream: Stream) -> None:
    first = newest_reference(stream.lake, MODEL)
    second = newest_reference(stream.lake, MODEL)
    assert isinstance(first, Reference) and isinstance(second, Reference)
    row = stream.lake.drift_references.read(["map_version"]).to_pylist()[0]
    assert row["map_version"] == first.map.version == second.map.version
    assert isinstance(first.map, FeatureMap)


def test_a_calibration_slice_is_in_no_sketch(stream: Stream) -> None:
    reference = newest_reference(stream.lake, MODEL)
    assert reference is not None
    slice_size = len(reference.calibration)
    assert slice_size == DAYS * A_DAY // 4
    assert sum(rows for rows, _ in stored(stream.lake).values()) == 31 * A_DAY - slice_size


def test_new_days_moves_and_deletes_give_what_a_full_count_gives(stream: Stream) -> None:
    lake, rng = stream.lake, np.random.default_rng(3)
    ids = stream.add(DAYS + 1, vectors(rng, 40), tenant="other", source="t")
    report = sync(lake)
    assert (report.sketched_rows, report.sketches_written, report.recounted) == (40, 1, False)
    stream.move(ids[:10], DAYS + 3)
    moved = sync(lake)
    # Ten leave a day, ten come to another.
    assert (moved.sketched_rows, moved.recounted) == (20, False)
    stream.delete(ids[5:25])
    stream.add(DAYS + 3, vectors(rng, 7))
    assert not sync(lake).recounted
    assert stored(lake) == counted_anew(lake)


def test_several_changes_of_one_chunk_between_two_syncs_count_once(stream: Stream) -> None:
    lake, rng = stream.lake, np.random.default_rng(4)
    before = stored(lake)
    ids = stream.add(DAYS + 1, vectors(rng, 5))
    stream.move(ids, DAYS + 2)
    stream.move(ids, DAYS + 1)
    stream.delete(ids)
    sync(lake)
    assert stored(lake) == before
    ids = stream.add(DAYS + 1, vectors(rng, 5))
    sync(lake)
    stream.move(ids, DAYS + 2)
    stream.move(ids[:3], DAYS + 4)
    stream.delete(ids[4:])
    sync(lake)
    assert stored(lake) == counted_anew(lake)


def test_a_day_of_which_everything_is_deleted_has_no_sketch(stream: Stream) -> None:
    lake = stream.lake
    before = stored(lake)
    ids = stream.add(DAYS + 5, vectors(np.random.default_rng(5), 9))
    sync(lake)
    assert len(stored(lake)) == len(before) + 1
    stream.delete(ids)
    sync(lake)
    assert stored(lake) == before


def test_a_repeated_sync_writes_nothing(stream: Stream) -> None:
    lake = stream.lake
    version = lake.drift_sketches.version()
    report = sync(lake)
    assert (report.sketched_rows, report.sketches_written) == (0, 0)
    assert lake.drift_sketches.version() == version


def test_a_sync_killed_before_its_commit_is_made_good_by_the_next(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = stream.lake
    stream.add(DAYS + 1, vectors(np.random.default_rng(6), 12))
    with monkeypatch.context() as patch:
        patch.setattr(lake.drift_sketches, "merge", lambda *_: (_ for _ in ()).throw(OSError()))
        with pytest.raises(OSError):
            sync(lake)
    assert sync(lake).sketched_rows == 12
    assert stored(lake) == counted_anew(lake)


def test_a_table_that_was_recreated_is_counted_anew(stream: Stream, tmp_path: Path) -> None:
    lake = stream.lake
    rows = lake.documents.read()
    shutil.rmtree(Path(lake.uri) / "documents")
    lake.documents.append(rows)
    assert sync(lake).recounted
    assert stored(lake) == counted_anew(lake)


def test_an_erased_vector_that_must_be_subtracted_means_counting_anew(stream: Stream) -> None:
    lake = stream.lake
    ids = stream.add(DAYS + 1, vectors(np.random.default_rng(7), 4))
    sync(lake)
    hashes = lake.chunks.read(["content_hash"], where=[("doc_id", "in", ids)])
    stream.delete(ids)
    kept = lake.embeddings.read()
    mask = pc.is_in(kept.column("content_hash"), value_set=hashes.column(0).combine_chunks())
    lake.embeddings.replace(kept.filter(pc.invert(mask)))
    assert sync(lake).recounted
    assert stored(lake) == counted_anew(lake)


def test_a_chunk_without_a_vector_is_an_error_and_nothing_is_written(stream: Stream) -> None:
    lake = stream.lake
    version = lake.drift_sketches.version()
    put(lake, chunk("s:bare", "never embedded"))
    with pytest.raises(SnapshotIncomplete, match="no vector"):
        sync(lake)
    assert lake.drift_sketches.version() == version


def test_series_are_read_by_day_and_slice(stream: Stream) -> None:
    lake, rng = stream.lake, np.random.default_rng(8)
    stream.add(DAYS + 1, vectors(rng, 6), tenant="other", source="t")
    stream.add(DAYS + 1, vectors(rng, 5))
    sync(lake)
    reference = newest_reference(lake, MODEL)
    assert reference is not None
    assert len(read_series(lake, MODEL, "another map").total.dates) == 0
    series = read_series(lake, MODEL, reference.map.version)
    assert set(series.slices) == {("acme", "s"), ("other", "t")}
    assert series.total.rows[-1] == 11
    assert series.total.dates[-1] == (date_of(DAYS + 1) - EPOCH).days
    merged = series.slices["acme", "s"].sums[-1] + series.slices["other", "t"].sums[-1]
    assert series.total.sums[-1].tobytes() == merged.tobytes()


def test_an_accepted_reference_says_who_and_why_and_counts_under_a_new_map(
    stream: Stream,
) -> None:
    lake, rng = stream.lake, np.random.default_rng(9)
    old = newest_reference(lake, MODEL)
    assert old is not None
    stream.add_days({day: vectors(rng, A_DAY, ABROAD) for day in range(DAYS + 1, DAYS + 30)})
    sync(lake)
    accepted = recalibrate_reference(
        lake,
        MODEL,
        first_day=date_of(DAYS + 1),
        last_day=date_of(DAYS + 29),
        actor="ann",
        reason="a new product line",
        evaluation_id="e1",
        run_id="run7",
    )
    assert (accepted.sequence, accepted.actor, accepted.reason) == (2, "ann", "a new product line")
    row = lake.drift_references.read(where=[("model_version", "==", MODEL)]).sort_by("sequence")
    assert row.column("evaluation_id").to_pylist() == [None, "e1"]
    assert row.column("run_id").to_pylist() == ["r", "run7"]
    assert accepted.map.version != old.map.version
    assert {key[3] for key in stored(lake)} == {accepted.map.version}
    version = lake.drift_references.version(), lake.drift_sketches.version()
    again = recalibrate_reference(
        lake,
        MODEL,
        first_day=date_of(DAYS + 1),
        last_day=date_of(DAYS + 29),
        actor="ann",
        reason="asked twice",
        evaluation_id="e1",
        run_id="run8",
    )
    assert again.sequence == 2
    assert (lake.drift_references.version(), lake.drift_sketches.version()) == version


def test_too_few_days_cannot_be_accepted(stream: Stream) -> None:
    with pytest.raises(NotEnoughDays, match=f"needs {MIN_REFERENCE_DAYS}"):
        recalibrate_reference(
            stream.lake,
            MODEL,
            first_day=date_of(0),
            last_day=date_of(9),
            actor="ann",
            reason="hurry",
            evaluation_id=None,
            run_id="r",
        )
    reference = newest_reference(stream.lake, MODEL)
    assert reference is not None and reference.sequence == 1
