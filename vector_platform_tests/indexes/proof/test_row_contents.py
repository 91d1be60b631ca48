"""Rows altered behind the platform's back under an untouched digest: found, named, mended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.backends.pinecone.rows import pinecone_documents, pinecone_row
from vector_platform.indexes.contract import INDEX_ROW
from vector_platform.indexes.proof import row_sample
from vector_platform.indexes.proof.row_contents import NOT_THERE, differing_fields, wanted_rows
from vector_platform.indexes.proof.row_sample import WHOLE_ROWS, WHOLE_TURNS, whole_share
from vector_platform.indexes.proof.verify import verify
from vector_platform.indexes.proof_sample import ProofSample
from vector_platform.indexes.sync import proving
from vector_platform.lake.rules import canonical_json
from vector_platform_tests.indexes.synced_world import World
from vector_platform_tests.lake.building import MODEL, chunk
from vector_platform_tests.tiers import examples

ROWS = 140
FORGERIES: dict[str, Any] = {
    "text": "forged",
    "title": "forged",
    "region": "elsewhere",
    "doc_id": "another",
    "attributes": '{"clearance":"public"}',
    "vector": np.array([0, 0, 0, 1], np.float32),
}
quick = examples(15)
scalars = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False)
values = scalars | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=3)
attributes = st.dictionaries(st.text(min_size=1, max_size=5), values, max_size=4)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("prepared"))
    world.put(*(chunk(f"s:{n}", f"text {n}", tenant="ab"[n % 2]) for n in range(ROWS)))
    world.sync.sync(MODEL)
    return world


@pytest.fixture
def world(prepared: World, tmp_path: Path) -> World:
    return prepared.copy(tmp_path / "world")


@pytest.fixture
def large(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same, taken for an index of which a proof can look at few rows."""
    monkeypatch.setattr(row_sample, "SAMPLED_ROWS", 10)
    monkeypatch.setattr(proving, "SAMPLED_ROWS", 0)
    monkeypatch.setattr(proving, "FEWEST_SAMPLED", 0)
    return world


def forge(world: World, row_id: str, field: str) -> None:
    state = world.assert_recorded()
    rows = world.target.rows(state.identity)
    [key] = [key for key in rows if key[1] == row_id]
    assert rows[key][field] is not FORGERIES[field]
    rows[key] = rows[key] | {field: FORGERIES[field]}
    world.target.damaged(state.identity)


def assert_right(world: World) -> None:
    rows = world.target.rows(world.assert_equal().identity)
    for batch in world.lake.index_rows(MODEL, world.lake.snapshot()):
        for row in batch.to_pylist():
            held = rows[row["tenant"], row["id"]]
            assert held | {"vector": held["vector"].tolist()} == row


@pytest.mark.parametrize("field", FORGERIES)
def test_a_forged_field_is_named_doubted_and_repaired(world: World, field: str) -> None:
    forge(world, "s:7#0", field)
    state = world.assert_recorded()
    proof = world.sync.verify(state)
    assert proof.plan.empty and proof.rows_differing == {"s:7#0": field}
    assert f"differ in {field}" in proof.describe()
    assert proof.facts()["samples"]["contents"] == [f"s:7#0: {field}"]
    [doubted] = world.sync.states.all()
    assert doubted.doubt is not None and field in doubted.doubt
    report = world.sync.repair(state)
    assert (report.upserted, report.deleted) == (1, 0)
    assert_right(world)


def test_a_forged_row_is_found_in_exactly_one_of_so_many_turns(world: World) -> None:
    forge(world, "s:7#0", "text")
    state, snapshot = world.assert_recorded().identity, world.lake.snapshot()
    proofs = [
        verify(
            world.lake,
            world.target,
            state,
            snapshot,
            whole=ProofSample(1 / WHOLE_TURNS, turn),
            others=0,
        )
        for turn in range(WHOLE_TURNS)
    ]
    assert sum(proof.rows_compared for proof in proofs) == ROWS
    assert sorted(len(proof.rows_differing) for proof in proofs) == [0] * (WHOLE_TURNS - 1) + [1]


def test_nightly_proofs_find_a_forged_row_within_the_stated_number(large: World) -> None:
    forge(large, "s:7#0", "text")
    state = large.assert_recorded()
    proofs = [large.sync.verify(state) for _ in range(WHOLE_TURNS)]
    assert max(proof.rows_compared for proof in proofs) < ROWS / 3
    assert [proof.rows_differing for proof in proofs if not proof.clean] == [{"s:7#0": "text"}]


def test_every_row_is_read_when_a_person_asks_for_it(large: World) -> None:
    forge(large, "s:7#0", "text")
    proof = large.sync.verify(large.assert_recorded(), every_row=True)
    assert (proof.rows_compared, proof.rows_differing) == (ROWS, {"s:7#0": "text"})


def test_a_repair_reads_every_row(large: World) -> None:
    for row_id in ("s:7#0", "s:8#0", "s:90#0"):
        forge(large, row_id, "attributes")
    report = large.sync.repair(large.assert_recorded())
    assert (report.upserted, report.deleted) == (3, 0)
    assert report.verification is not None and report.verification.rows_compared == ROWS
    assert_right(large)


def test_a_sync_of_a_doubted_index_reads_every_row_before_it_clears_the_doubt(
    large: World,
) -> None:
    forge(large, "s:7#0", "text")
    forge(large, "s:8#0", "title")
    state = large.assert_recorded()
    large.sync.doubt(state, "somebody has seen it")
    report = large.sync.sync(MODEL)
    assert (report.mode, report.upserted) == ("full", 2)
    assert large.assert_recorded().doubt is None
    assert_right(large)


def test_where_one_row_differs_all_are_read_before_anything_is_repaired(large: World) -> None:
    for n in range(0, ROWS, 7):
        forge(large, f"s:{n}#0", "region")
    large.put(chunk("s:new", "new", tenant="a"))
    large.full_proof_hours = 0
    report = large.sync.sync(MODEL)
    assert report.upserted == 1 + len(range(0, ROWS, 7))
    assert_right(large)


@quick
@given(rows=st.integers(0, 10**7), fetch_share=st.sampled_from([1.0, 0.5, 0.05]))
def test_what_is_read_whole_is_bounded_and_comes_round(rows: int, fetch_share: float) -> None:
    share = whole_share(rows, fetch_share=fetch_share)
    assert rows <= 5000 or share * rows <= max(WHOLE_ROWS, 5000)
    turns = ProofSample(share).turns
    assert turns is not None
    if fetch_share == 1.0:
        assert turns <= max(WHOLE_TURNS, -(-rows // WHOLE_ROWS))


def test_nothing_that_costs_is_read_where_a_person_has_said_so() -> None:
    assert whole_share(10**6, fetch_share=0) == 0


def row(**given: Any) -> dict[str, Any]:
    return {
        "id": "d#0",
        "tenant": "acme",
        "digest": "0",
        "vector": [1.0, 0.0],
        "region": "eu",
        "doc_id": "d",
        "title": "title",
        "text": "text",
        "attributes": "{}",
    } | given


def batch(**given: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([row(**given)], schema=INDEX_ROW)


@quick
@given(data=st.data(), held=attributes)
def test_exactly_the_fields_that_differ_are_named(
    data: st.DataObject, held: dict[str, Any]
) -> None:
    [(key, wanted)] = wanted_rows(batch(attributes=canonical_json(held)))
    assert key == ("d#0", "acme") and differing_fields(wanted, dict(wanted)) == []
    others = {
        "tenant": "another",
        "digest": "1",
        "region": None,
        "doc_id": "e",
        "title": "",
        "text": "text ",
        "attributes": held | {"another": 1},
        "vector": np.array([1, np.nan], np.float32),
    }
    names = data.draw(st.sets(st.sampled_from(sorted(others))))
    assert set(differing_fields(wanted, {**wanted, **{n: others[n] for n in names}})) == names
    without = {name: value for name, value in wanted.items() if name not in names}
    assert set(differing_fields(wanted, without)) == names
    assert differing_fields(wanted, None) == [NOT_THERE]


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), ("1", 1)])
def test_values_that_python_takes_for_equal_differ_where_their_types_do(
    one: Any, other: Any
) -> None:
    [(_, wanted)] = wanted_rows(batch(attributes=canonical_json({"a": one})))
    assert differing_fields(wanted, {**wanted, "attributes": {"a": other}}) == ["attributes"]


@quick
@given(held=attributes, name=st.text(min_size=1, max_size=5))
def test_what_a_filter_of_pinecone_sees_is_compared_too(held: dict[str, Any], name: str) -> None:
    given = batch(attributes=canonical_json(held))
    [(_, wanted)] = wanted_rows(given)
    stored, refused = pinecone_documents(given, 2, lambda tenant: tenant)
    assert not refused
    [document] = stored["acme"]
    served = {
        field: float(value) if type(value) is int else value
        for field, value in document.items()
        if field != "vector"
    } | {"vector": [1.0, 0.0], "fence": "a mark"}
    assert differing_fields(wanted, pinecone_row(served)) == []
    forged = served | {f"attr_{name}": "forged"}
    assert differing_fields(wanted, pinecone_row(forged)) == ["attributes"]
    for lost in (field for field in served if field.startswith("attr_")):
        left = {field: value for field, value in served.items() if field != lost}
        assert differing_fields(wanted, pinecone_row(left)) == ["attributes"]
    for text in (None, "{", "[]", "1", 1):
        assert "attributes" in differing_fields(wanted, pinecone_row(served | {"attributes": text}))
