"""Mutants of a sync on real backends: the proof of what it touched sees them there, too."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Generation
from vector_platform.indexes.proof.row_contents import differing_fields, wanted_rows
from vector_platform.indexes.sync.writing import DeleteDiverged
from vector_platform_tests.indexes import mutants
from vector_platform_tests.indexes.mutant_index import MutantIndex
from vector_platform_tests.indexes.mutants import Mutation
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put
from vector_platform_tests.syncing import index_sync

pytestmark = pytest.mark.integration

_names = (f"mutants{number}" for number in itertools.count())
SAMPLE = [
    (mutants.delete_everything, "delete", True),
    (mutants.swap_vectors_of_some, "upsert", True),
    (mutants.acknowledge_and_drop, "upsert", False),
    (mutants.write_another_vector, "upsert", False),
    (mutants.write_another_text, "upsert", True),
    (mutants.write_another_attribute, "upsert", False),
    (mutants.write_another_title, "upsert", False),
    (mutants.write_another_region, "upsert", False),
    (mutants.write_another_document, "upsert", False),
    (mutants.drop_attributes, "upsert", False),
    (mutants.write_other_texts, "delete", False),
    (mutants.write_other_attributes, "delete", False),
    (mutants.write_to_another_tenant, "upsert", False),
    (mutants.write_other_digests, "delete", False),
    (mutants.copy_one_to_another_tenant, "upsert", False),
    (mutants.delete_one_more, "upsert", False),
    (mutants.delete_none, "delete", False),
    (mutants.delete_another_instead, "delete", False),
]


@pytest.mark.parametrize(
    ("mutation", "call"),
    [
        pytest.param(mutation, call, id=mutation.__name__, marks=() if quick else pytest.mark.deep)
        for mutation, call, quick in SAMPLE
    ],
)
def test_the_proof_of_a_change_finds_a_mutant_on_a_server(
    target: VectorIndex, tmp_path: Path, mutation: Mutation, call: str
) -> None:
    lake = open_lake(tmp_path)
    mutant = MutantIndex(target, Generation("unused", "g0099", MODEL, 4))
    sync = index_sync(lake, mutant, tmp_path, index=next(_names))
    put(lake, *(chunk(f"s:{n}", f"text {n}", tenant=("one", "two")[n % 2]) for n in range(60)))
    embed(lake)
    state = sync.sync(MODEL).generation
    put(
        lake,
        chunk("s:1", "other text", tenant="two", attributes={"clearance": "secret"}),
        chunk("s:2", "another text", tenant="one"),
        delete=("s:4#0", "s:5#0"),
    )
    embed(lake)
    mutant.arm(mutation, call, seed=1)
    try:
        report = sync.sync(MODEL)
    except DeleteDiverged:
        (broken,) = sync.states.all()
        assert broken.status == "syncing" and broken.doubt is not None
        report = sync.sync(MODEL)
    assert mutant.struck
    assert report.verification is not None and report.verification.scope == "all"
    wanted = {
        (row["id"], row["tenant"]): row
        for batch in lake.index_rows(MODEL, lake.snapshot())
        for row in batch.to_pylist()
    }
    stored = {
        (row["id"], row["tenant"]): row["digest"]
        for batch in target.scan(state.identity)
        for row in batch.to_pylist()
    }
    assert stored == {key: row["digest"] for key, row in wanted.items()}
    rows = target.whole_rows(state.identity, sorted(wanted))
    for batch in lake.index_rows(MODEL, lake.snapshot()):
        for key, row in wanted_rows(batch):
            assert differing_fields(row, rows[key]) == []
    sync.drop(report.generation)
