from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vector_platform.indexes.contract import INDEX_KEY
from vector_platform.indexes.plan import DeleteGuard, Plan, compare, guard_deletes
from vector_platform_tests.tiers import examples

Keys = dict[tuple[str, str], str]  # (tenant, id) -> digest


def batches(
    keys: Keys | Iterable[tuple[tuple[str, str], str]], size: int = 3
) -> list[pa.RecordBatch]:
    items = list(keys.items() if isinstance(keys, dict) else keys)
    rows = [
        {"id": row_id, "tenant": tenant, "digest": digest} for (tenant, row_id), digest in items
    ]
    return [
        pa.RecordBatch.from_pylist(rows[start : start + size], schema=INDEX_KEY)
        for start in range(0, len(rows), size)
    ]


def diff(desired: Keys, actual: Keys) -> Plan:
    return compare(batches(desired), batches(actual))


def apply(plan: Plan, actual: Keys, lake: Keys, *, ids_are_global: bool) -> Keys:
    """What a backend holds after a plan, written first and deleted after."""
    held = dict(actual)
    for row in plan.upserts.to_pylist():
        if ids_are_global:
            held = {key: digest for key, digest in held.items() if key[1] != row["id"]}
        held[row["tenant"], row["id"]] = lake[row["tenant"], row["id"]]
    for row in plan.deletes.to_pylist():
        if not (row["moved"] and ids_are_global):
            held.pop((row["tenant"], row["id"]), None)
    return held


_ids = st.sampled_from([f"d{i}#0" for i in range(8)])
_tenants = st.sampled_from(["a", "b", "c"])
_digests = st.sampled_from(["x", "y"])
# A lake knows an id once; an index that keeps tenants apart may hold it several times.
lakes = st.dictionaries(_ids, st.tuples(_tenants, _digests), max_size=8).map(
    lambda rows: {(tenant, row_id): digest for row_id, (tenant, digest) in rows.items()}
)
indexes = st.dictionaries(st.tuples(_tenants, _ids), _digests, max_size=12)
quick = examples(8)


@quick
@given(desired=lakes, actual=indexes)
def test_after_a_plan_is_applied_nothing_differs_and_nothing_is_left_to_write(
    desired: Keys, actual: Keys
) -> None:
    held = apply(diff(desired, actual), actual, desired, ids_are_global=False)
    assert held == desired
    again = diff(desired, held)
    assert again.empty and again.upserts.num_rows == again.deletes.num_rows == 0


@quick
@given(desired=lakes, actual=lakes)
def test_the_same_holds_where_an_id_exists_once(desired: Keys, actual: Keys) -> None:
    held = apply(diff(desired, actual), actual, desired, ids_are_global=True)
    assert held == desired
    assert diff(desired, held).empty


@quick
@given(first=lakes, second=lakes, third=lakes, once=st.booleans())
def test_two_steps_reach_what_one_step_reaches(
    first: Keys, second: Keys, third: Keys, once: bool
) -> None:
    halfway = apply(diff(second, first), first, second, ids_are_global=once)
    in_two = apply(diff(third, halfway), halfway, third, ids_are_global=once)
    in_one = apply(diff(third, first), first, third, ids_are_global=once)
    assert in_two == in_one == third


@quick
@given(desired=lakes, actual=indexes, data=st.data())
def test_the_order_and_size_of_batches_do_not_matter(
    desired: Keys, actual: Keys, data: st.DataObject
) -> None:
    shuffled = compare(
        batches(data.draw(st.permutations(list(desired.items()))), data.draw(st.integers(1, 5))),
        batches(data.draw(st.permutations(list(actual.items()))), data.draw(st.integers(1, 5))),
    )
    assert shuffled == diff(desired, actual)


@quick
@given(desired=lakes, actual=indexes)
def test_counts_add_up(desired: Keys, actual: Keys) -> None:
    plan = diff(desired, actual)
    ids = {row_id for _, row_id in desired}
    gone = set(actual) - set(desired)
    assert plan.desired == len(desired) and plan.actual == len(actual)
    assert plan.missing == len(set(desired) - set(actual))
    assert plan.stale == sum(desired[key] != actual[key] for key in set(desired) & set(actual))
    assert plan.moved == sum(row_id in ids for _, row_id in gone)
    assert plan.orphaned == len(gone) - plan.moved
    assert plan.empty == (desired == actual)


def test_a_row_that_is_there_twice_is_written_again() -> None:
    plan = compare(batches({("a", "1"): "x"}), batches([(("a", "1"), "x"), (("a", "1"), "x")]))
    assert not plan.empty
    assert plan.duplicated == 1
    assert plan.upserts.to_pylist() == [{"id": "1", "tenant": "a", "stale": True}]


def test_two_empty_sides_are_equal() -> None:
    assert compare([], []).empty


def test_a_plan_says_what_it_would_do() -> None:
    plan = diff({("a", "1"): "x", ("b", "2"): "x"}, {("a", "2"): "x", ("a", "3"): "x"})
    assert plan.samples() == {"to_write": ["a/1", "b/2"], "to_delete": ["a/2", "a/3"]}
    assert "2 desired, 2 actual: 2 missing, 0 stale, 1 orphaned, 1 in the wrong" in plan.describe()


@given(desired=lakes, actual=indexes)
def test_differences_by_tenant_add_up_to_the_counts(desired: Keys, actual: Keys) -> None:
    plan = diff(desired, actual)
    found = plan.by_tenant()
    for kind, expected in {
        "missing": {tenant for tenant, _ in set(desired) - set(actual)},
        "orphaned": {tenant for tenant, row_id in set(actual) - set(desired)},
    }.items():
        assert {tenant for tenant, kinds in found.items() if kind in kinds} <= expected
    total = dict.fromkeys(("missing", "stale", "orphaned", "wrong tenant"), 0)
    for kinds in found.values():
        for kind, rows in kinds.items():
            assert rows > 0
            total[kind] += rows
    assert tuple(total.values()) == (plan.missing, plan.stale, plan.orphaned, plan.moved)


def orphans(count: int) -> Plan:
    return diff({}, {("a", f"{i}"): "x" for i in range(count)})


@pytest.mark.parametrize(
    ("gone", "held", "share", "allowed"),
    [(10, 100, 0.1, 0), (0, 5, 0.0, 0), (60, 100, 0.1, 60), (100, 100, 1.0, 0)],
    ids=["at the limit", "nothing", "allowed", "no limit"],
)
def test_the_guard_lets_through(gone: int, held: int, share: float, allowed: int) -> None:
    guard_deletes(orphans(gone), in_index=held, in_lake=7, max_share=share, allowed=allowed)


@pytest.mark.parametrize(
    ("gone", "held", "share", "allowed"),
    [(11, 100, 0.1, 0), (1, 5, 0.0, 0), (60, 100, 0.1, 59), (5, 0, 0.1, 0)],
    ids=["over the limit", "none may go", "allowed fewer", "not counted yet"],
)
def test_the_guard_stops_and_says_the_way_through(
    gone: int, held: int, share: float, allowed: int
) -> None:
    with pytest.raises(DeleteGuard, match=f"--allow-delete {gone}"):
        guard_deletes(orphans(gone), in_index=held, in_lake=7, max_share=share, allowed=allowed)


def test_an_empty_lake_deletes_nothing_whatever_the_share() -> None:
    with pytest.raises(DeleteGuard, match=r"the lake is empty.*--allow-delete 3"):
        guard_deletes(orphans(3), in_index=1000, in_lake=0, max_share=1.0, allowed=2)
    guard_deletes(orphans(3), in_index=3, in_lake=0, max_share=0.0, allowed=3)


@examples(10)
@given(
    desired=lakes,
    actual=indexes,
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    allowed=st.integers(0, 4),
)
@example(desired={}, actual={("a", "d1#0"): "x"}, share=1.0, allowed=0)
def test_what_the_guard_lets_through_leaves_the_share_or_was_allowed(
    desired: Keys, actual: Keys, share: float, allowed: int
) -> None:
    plan = diff(desired, actual)
    # Rows that go for good: nobody in the lake has their id.
    ids = {row_id for _, row_id in desired}
    lost = sum(row_id not in ids for _, row_id in actual)
    try:
        guard_deletes(
            plan, in_index=len(actual), in_lake=len(desired), max_share=share, allowed=allowed
        )
    except DeleteGuard:
        assert lost > allowed and (not desired or lost > share * len(actual))
    else:
        left = len(actual) - lost
        assert lost <= allowed or (desired and left >= (1 - share) * len(actual) - 1e-9)


def test_a_row_that_changes_hands_is_not_a_delete_for_the_guard() -> None:
    plan = diff({("b", str(i)): "x" for i in range(9)}, {("a", str(i)): "x" for i in range(9)})
    guard_deletes(plan, in_index=9, in_lake=9, max_share=0.0, allowed=0)
