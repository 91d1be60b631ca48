"""How many rows a proof looks at, and whose: enough, bounded, and others each time."""

from __future__ import annotations

from math import comb
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.proof.row_sample import (
    COUNTED_TENANTS,
    MISSED,
    sample_size,
    sample_sizes,
    tenants_to_count,
)
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put
from vector_platform_tests.tiers import examples

quick = examples(15)
counts = st.dictionaries(st.text(min_size=1, max_size=4), st.integers(1, 3000), max_size=40)


@quick
@given(rows=st.integers(1, 5000))
def test_damage_to_more_than_one_row_in_a_hundred_is_missed_once_in_a_hundred_at_most(
    rows: int,
) -> None:
    size, damaged = sample_size(rows), rows // 100 + 1

    def missed(drawn: int) -> float:
        return comb(rows - damaged, drawn) / comb(rows, drawn)

    assert size <= rows and missed(size) <= MISSED * (1 + 1e-9)
    assert size == 0 or missed(size - 1) > MISSED * (1 - 1e-9), "no more than it takes"


def test_what_a_sample_costs_does_not_grow_with_the_index() -> None:
    assert sample_size(0) == 0 and sample_size(1) == 1 and sample_size(99) == 99
    assert sample_size(10**6) <= sample_size(10**9) <= 460


@quick
@given(tenants=counts, budget=st.integers(1, 4000), seed=st.text(max_size=5), data=st.data())
def test_a_sample_keeps_to_its_budget_and_looks_at_changed_tenants_first(
    tenants: dict[str, int], budget: int, seed: str, data: st.DataObject
) -> None:
    changed = data.draw(st.sets(st.sampled_from(sorted(tenants))) if tenants else st.just(set()))
    sizes = sample_sizes(tenants, first=changed, seed=seed, budget=budget)
    assert sum(sizes.values()) <= budget
    assert all(0 < size <= sample_size(tenants[tenant]) for tenant, size in sizes.items())
    wanted = sum(sample_size(rows) for rows in tenants.values())
    assert sum(sizes.values()) == min(budget, wanted), "no row less than the budget has room for"
    if set(sizes) - changed:
        assert {t: sample_size(tenants[t]) for t in changed} == {t: sizes[t] for t in changed}


def test_proofs_in_a_row_look_at_every_tenant_between_them() -> None:
    tenants = dict.fromkeys((f"t{n}" for n in range(500)), 4)
    looked_at: set[str] = set()
    for turn in range(150):
        looked_at |= set(sample_sizes(tenants, first=(), seed=f"chunks@{turn}", budget=200))
    assert looked_at == set(tenants)


@quick
@given(tenants=st.integers(0, 200), changed=st.integers(0, 20))
def test_all_tenants_are_counted_when_they_are_few_and_the_changed_ones_always(
    tenants: int, changed: int
) -> None:
    names = [f"t{n}" for n in range(tenants)]
    counted = tenants_to_count(names, changed=names[:changed], seed="s")
    assert set(names[:changed]) <= set(counted) <= set(names)
    assert len(counted) == min(tenants, len(names[:changed]) + COUNTED_TENANTS)


def test_the_rows_of_a_sample_are_others_for_every_seed_and_none_that_changed(
    tmp_path: Path,
) -> None:
    lake = open_lake(tmp_path)
    put(lake, *(chunk(f"s:{n}", f"text {n}", tenant="ab"[n % 2]) for n in range(120)))
    embed(lake)
    snapshot = lake.snapshot()
    assert lake.count_tenants(snapshot) == {"a": 60, "b": 60}
    besides = pa.table({"id": [f"s:{n}#0" for n in range(0, 40, 2)]})

    def drawn(seed: str) -> pa.Table:
        return lake.sample_keys(MODEL, snapshot, {"a": 10, "b": 100}, besides=besides, seed=seed)

    one, again, other = drawn("1"), drawn("1"), drawn("2")
    assert one.equals(again) and not one.equals(other)
    rows = one.to_pylist()
    assert [sum(row["tenant"] == tenant for row in rows) for tenant in "ab"] == [10, 60]
    everything = {
        (row["id"], row["tenant"], row["digest"])
        for batch in lake.index_keys(MODEL, snapshot)
        for row in batch.to_pylist()
    }
    assert {tuple(row.values()) for row in rows} <= everything
    covered: set[str] = set()
    for turn in range(40):
        covered |= set(drawn(str(turn))["id"].to_pylist())
    untouched = {f"s:{n}#0" for n in range(120)} - set(besides["id"].to_pylist())
    assert covered == untouched


@pytest.mark.parametrize("seed", ["x", "y"])
def test_nothing_is_drawn_of_a_lake_without_rows(tmp_path: Path, seed: str) -> None:
    lake = open_lake(tmp_path)
    put(lake, chunk("s:1"))
    embed(lake)
    put(lake, delete=["s:1#0"])
    found = lake.sample_keys(
        MODEL, lake.snapshot(), {}, besides=pa.table({"id": pa.array([], pa.string())}), seed=seed
    )
    assert found.num_rows == 0
