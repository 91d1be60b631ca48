from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.lake.contract import DOCUMENTS, GOLDEN_QUERIES
from vector_platform.lake.lake import Lake
from vector_platform.lake.slices.quarantine import SliceQuarantine
from vector_platform.lake.slices.slices import Slice
from vector_platform.lake.snapshots import SnapshotIncomplete
from vector_platform.quality.exact import (
    DimensionMismatch,
    ScoredDoc,
    best_per_document,
    exact_top_k,
)
from vector_platform.quality.retrieval import measures as retrieval
from vector_platform.quality.retrieval.comparison import IncomparableReports, compare_scores
from vector_platform.quality.retrieval.measures import (
    NoGoldenQueries,
    current_golden,
    evaluate,
    golden_set,
)
from vector_platform.quality.statistics import bootstrap_mean, sign_flip_p_value
from vector_platform_tests.corpus.test_chunks import document
from vector_platform_tests.lake.building import (
    MODEL,
    append_vectors,
    chunk,
    embed,
    open_lake,
    put,
    register,
    rows_of,
)


def golden_rows(*rows: tuple[str, str, int, str | None]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "set_name": "demo",
                "query_id": query,
                "text": f"text of {query}",
                "doc_id": doc,
                "gain": gain,
                "tenant": tenant,
                "provenance": "test",
            }
            for query, doc, gain, tenant in rows
        ],
        schema=GOLDEN_QUERIES.schema,
    )


def ranking(*docs: str) -> list[ScoredDoc]:
    return [ScoredDoc(doc, 1.0) for doc in docs]


# -- judgements -----------------------------------------------------------------------------

JUDGED = [("q1", "a", 1, None), ("q1", "b", 2, None), ("q2", "a", 1, "x")]


def test_judgements_are_known_again_in_any_order() -> None:
    known = golden_set(golden_rows(*JUDGED)).judgements()
    assert set(known) == {"demo/q1", "demo/q2"}
    assert golden_set(golden_rows(*reversed(JUDGED))).judgements() == known
    assert golden_set(golden_rows(*JUDGED)).only(["demo/q2"]).judgements() == {
        "demo/q2": known["demo/q2"]
    }


@pytest.mark.parametrize(
    ("rows", "quarantined"),
    [
        ([("q1", "a", 2, None), *JUDGED[1:]], ()),
        ([("q1", "c", 1, None), *JUDGED], ()),
        ([("q1", "a", 1, "x"), ("q1", "b", 2, "x"), JUDGED[2]], ()),
        (JUDGED, ("b",)),
    ],
    ids=["a gain", "an answer more", "the tenant", "an answer in quarantine"],
)
def test_only_the_query_that_is_judged_otherwise_gets_other_judgements(
    rows: list[tuple[str, str, int, str | None]], quarantined: tuple[str, ...]
) -> None:
    before = golden_set(golden_rows(*JUDGED)).judgements()
    after = golden_set(golden_rows(*rows), quarantined=quarantined).judgements()
    assert after["demo/q1"] != before["demo/q1"]
    assert after["demo/q2"] == before["demo/q2"]


def test_another_wording_is_another_question() -> None:
    golden = golden_set(golden_rows(*JUDGED))
    reworded = replace(golden, texts=("another text", golden.texts[1]))
    assert reworded.judgements()["demo/q1"] != golden.judgements()["demo/q1"]


# -- exact search ---------------------------------------------------------------------------


def corpus(lake: Lake, documents: int = 300, dimension: int = 12) -> None:
    """Documents of one to three chunks, some of them with equal texts, in two tenants."""
    rows = [
        chunk(f"s:{i}", f"text {i % 200}/{j}", ordinal=j, tenant="ab"[i % 2])
        for i in range(documents)
        for j in range(1 + i % 3)
    ]
    put(lake, *rows)
    embed(lake, dimension=dimension)


def naive(
    lake: Lake, queries: np.ndarray, k: int, tenants: list[str | None]
) -> list[list[ScoredDoc]]:
    rows = rows_of(lake.index_rows(MODEL, lake.snapshot()))
    found = []
    for query, tenant in zip(queries, tenants, strict=True):
        found.append(
            best_per_document(
                (
                    (
                        row["doc_id"],
                        float(np.float32(np.multiply(query, row["vector"], dtype=float).sum())),
                    )
                    for row in rows
                    if tenant in (None, row["tenant"])
                ),
                k,
            )
        )
    return found


def unit_queries(count: int, dimension: int = 12) -> np.ndarray:
    drawn = np.random.default_rng(3).standard_normal((count, dimension))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 10, 1000])
def test_exact_search_equals_a_naive_one_with_ties_and_tenants(tmp_path: Path, k: int) -> None:
    lake = open_lake(tmp_path)
    corpus(lake)
    queries = unit_queries(6)
    tenants = [None, "a", "b", None, "nobody", "a"]
    found = exact_top_k(lake, MODEL, lake.snapshot(), queries, k=k, tenants=tenants)
    expected = naive(lake, queries, k, tenants)
    assert [[doc.doc_id for doc in docs] for docs in found] == [
        [doc.doc_id for doc in docs] for docs in expected
    ]
    assert found == expected
    assert found[4] == []


def test_the_size_of_the_batches_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(tmp_path)
    corpus(lake)
    queries = unit_queries(5)
    whole = exact_top_k(lake, MODEL, lake.snapshot(), queries, k=7)
    monkeypatch.setattr("vector_platform.quality.exact.QUERY_BLOCK", 2)

    class Dripping(Lake):
        def index_rows(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            return super().index_rows(*args, batch_rows=11)  # type: ignore[arg-type]

    assert exact_top_k(Dripping(lake.uri), MODEL, lake.snapshot(), queries, k=7) == whole


def test_queries_of_another_model_are_refused(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    corpus(lake, documents=3)
    with pytest.raises(DimensionMismatch, match="12 dimensions"):
        exact_top_k(lake, MODEL, lake.snapshot(), unit_queries(1, 5), k=1)


def test_a_snapshot_without_all_vectors_is_refused(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    corpus(lake, documents=3)
    put(lake, chunk("s:late", "not embedded"))
    with pytest.raises(SnapshotIncomplete):
        exact_top_k(lake, MODEL, lake.snapshot(), unit_queries(1), k=1)


def test_the_best_chunk_speaks_for_its_document(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    rows = [chunk("s:1", "far"), chunk("s:1", "near", ordinal=1), chunk("s:2", "middle")]
    put(lake, *rows)
    register(lake, dimension=2)
    near, middle, far = np.float32([[1, 0], [0.8, 0.6], [0, 1]])
    by_hash = zip((row["content_hash"] for row in rows), (far, near, middle), strict=True)
    append_vectors(lake, MODEL, dict(by_hash))
    (docs,) = exact_top_k(lake, MODEL, lake.snapshot(), near[None, :], k=2)
    assert docs == [ScoredDoc("s:1", 1.0), ScoredDoc("s:2", float(np.float32(0.8)))]


# -- evaluation -----------------------------------------------------------------------------


def test_the_measures_are_those_of_trec_eval() -> None:
    golden = golden_set(
        golden_rows(
            ("q1", "a", 1, "x"), ("q1", "b", 2, "x"), ("q2", "z", 1, "y"), ("q3", "c", 1, "x")
        )
    )
    report = evaluate([ranking("b", "x", "a"), [], ranking("y", "c")], golden)
    ideal = 2 + 1 / math.log2(3)
    assert report.per_query["nDCG@10"] == pytest.approx(
        {"demo/q1": (2 + 1 / 2) / ideal, "demo/q2": 0.0, "demo/q3": 1 / math.log2(3)}
    )
    assert report.per_query["R@10"] == {"demo/q1": 1.0, "demo/q2": 0.0, "demo/q3": 1.0}
    assert report.per_query["RR@10"] == {"demo/q1": 1.0, "demo/q2": 0.0, "demo/q3": 0.5}
    assert report.means["R@10"].mean == pytest.approx(2 / 3)
    assert report.tenants["R@10"]["x"].mean == 1.0
    assert report.tenants["R@10"]["y"].mean == 0.0
    assert report.facts()["queries"] == 3


def test_nothing_beyond_the_tenth_place_counts() -> None:
    golden = golden_set(golden_rows(("q", "target", 1, None)))
    others = [f"d{i}" for i in range(10)]
    assert evaluate([ranking(*others, "target")], golden).means["R@10"].mean == 0.0
    tenth = evaluate([ranking(*others[:9], "target")], golden)
    assert tenth.means["RR@10"].mean == pytest.approx(0.1)
    assert list(tenth.tenants["R@10"]) == [retrieval.NO_TENANT]


def test_a_ranking_counts_in_its_own_order_even_when_scores_tie() -> None:
    golden = golden_set(golden_rows(("q", "a", 1, None)))
    report = evaluate([ranking("a", "z")], golden)
    assert report.means["RR@10"].mean == 1.0


def test_golden_queries_line_up_whatever_the_order_of_their_rows() -> None:
    rows = golden_rows(("q2", "b", 1, "t"), ("q1", "a", 1, None), ("q2", "c", 2, "t"))
    golden = golden_set(rows)
    assert golden == golden_set(rows.take([2, 1, 0]))
    assert golden.query_ids == ("demo/q1", "demo/q2")
    assert golden.tenants == (None, "t")
    assert golden.qrels["demo/q2"] == {"b": 1, "c": 2}


def test_a_query_whose_judgements_are_all_zero_or_below_is_skipped() -> None:
    rows = golden_rows(("q1", "a", 0, None), ("q2", "b", 2, None), ("q3", "c", -1, None))
    golden = golden_set(rows)
    assert golden.query_ids == ("demo/q2",)


def test_documents_judged_below_zero_count_as_not_relevant() -> None:
    golden = golden_set(golden_rows(("q", "a", 1, None), ("q", "b", -1, None)))
    plain = golden_set(golden_rows(("q", "a", 1, None)))
    found = [ranking("b", "a")]
    assert evaluate(found, golden).means == evaluate(found, plain).means


def test_the_share_of_answers_that_nobody_has_judged_is_reported() -> None:
    golden = golden_set(
        golden_rows(("q1", "a", 1, None), ("q2", "b", 0, None), ("q2", "c", 1, None))
    )
    report = evaluate([ranking("a", "x", "y", "z"), ranking("b", "c")], golden)
    assert report.facts()["unjudged@10"] == pytest.approx(0.375)


@pytest.mark.parametrize("rows", [golden_rows(), golden_rows(("q", "a", 0, None))])
def test_golden_queries_that_nothing_can_answer_are_refused(rows: pa.Table) -> None:
    with pytest.raises(NoGoldenQueries):
        golden_set(rows)


def test_golden_queries_are_judged_without_what_is_in_quarantine(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    assert current_golden(lake) is None
    rows = [("q1", "s:kept", 1, None), ("q1", "s:held", 2, None), ("q2", "s:held", 1, None)]
    lake.golden_queries.append(golden_rows(*rows))
    documents = [document(key, tenant=key) for key in ("kept", "held")]
    lake.documents.append(pa.Table.from_pylist(documents, schema=DOCUMENTS.schema))
    every = current_golden(lake)
    assert every is not None and every.query_ids == ("demo/q1", "demo/q2")
    facts = {"actor": "ann", "reason": "r", "run_id": "r", "now": datetime.now(UTC)}
    SliceQuarantine(lake).add(Slice("s", "held"), **facts)
    golden = current_golden(lake)
    assert golden is not None and golden.texts == ("text of q1",)
    assert golden.qrels == {"demo/q1": {"s:kept": 1}}
    SliceQuarantine(lake).add(Slice("s"), **facts)
    with pytest.raises(NoGoldenQueries, match="in quarantine"):
        current_golden(lake)


# -- statistics and comparison --------------------------------------------------------------


def test_the_bootstrap_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(120):
        estimate = bootstrap_mean(rng.uniform(size=60), seed=trial)
        covered += estimate.low <= 0.5 <= estimate.high
    assert covered >= 105  # 95 % of 120 is 114; fewer than 105 has a chance below .1 %


def test_the_randomisation_test_is_never_surer_than_its_flips() -> None:
    assert sign_flip_p_value(np.ones(200), seed=0) == pytest.approx(1 / 10_001)
    assert sign_flip_p_value(np.zeros(200), seed=0) == 1.0


def scores(values: np.ndarray) -> dict[str, float]:
    return {f"q{i:04d}": float(value) for i, value in enumerate(values)}


@pytest.mark.parametrize(
    ("shift", "spread", "count", "verdict"),
    [
        (0.05, 0.1, 400, "better"),
        (0.0, 0.02, 400, "not worse"),
        (-0.05, 0.1, 400, "worse"),
        (-0.005, 0.3, 60, "undecided"),
        (0.5, 0.01, 19, "undecided"),
        (-0.002, 0.001, 400, "not worse"),
    ],
)
def test_a_comparison_says_what_the_numbers_support(
    shift: float, spread: float, count: int, verdict: str
) -> None:
    rng = np.random.default_rng(11)
    old = rng.uniform(size=count)
    noise = rng.standard_normal(count)
    new = old + shift + spread * (noise - noise.mean())
    assert compare_scores(scores(old), scores(new), margin=0.01).verdict == verdict


def test_a_comparison_is_the_same_twice_and_mirrors_when_swapped() -> None:
    rng = np.random.default_rng(2)
    old, new = scores(rng.uniform(size=80)), scores(rng.uniform(size=80))
    there = compare_scores(old, new)
    assert there == compare_scores(old, new)
    back = compare_scores(new, old)
    assert back.difference.mean == pytest.approx(-there.difference.mean)
    assert back.p_value == pytest.approx(there.p_value)


def test_scores_of_other_queries_do_not_compare() -> None:
    with pytest.raises(IncomparableReports, match="1 queries"):
        compare_scores({"a": 1.0, "b": 1.0}, {"a": 1.0})
