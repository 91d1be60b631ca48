"""From Milvus to Pinecone and back: every attribute comes back as it was, or is refused by name."""

from __future__ import annotations

import itertools
import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Hit, Scope
from vector_platform.indexes.rejected import RejectedRows
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.contract import attribute_problem, canonical_json
from vector_platform.lake.lake import Lake
from vector_platform.settings import FieldMapping
from vector_platform.sources.base import SourceRow
from vector_platform.sources.landing.rows import check_row
from vector_platform_tests.integration.conftest import Server, open_index
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put, vector_of
from vector_platform_tests.syncing import index_sync
from vector_platform_tests.tiers import examples

pytestmark = pytest.mark.integration

_names = (f"trip{number}" for number in itertools.count())

# What a source may hold, admissible or not.
values = st.one_of(
    st.booleans(),
    st.text(max_size=40),
    st.integers(-(2**53) - 3, 2**53 + 3),
    st.integers(),
    st.floats(),
    st.sampled_from([2**53, 2**53 + 1, -0.0, 5e-324, math.nan, math.inf, "", [], [""], {}, 1.0]),
    st.lists(st.text(max_size=8), max_size=4),
    st.lists(st.integers() | st.booleans(), min_size=1, max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
attributes = st.dictionaries(st.sampled_from(["price", "Size", "tags", "is_new"]), values)


class Trip:
    """A lake and an index of it on both backends."""

    def __init__(self, folder: Path, milvus: VectorIndex, pinecone: VectorIndex) -> None:
        self.lake: Lake = open_lake(folder)
        self.name = next(_names)
        self._folder = folder
        self._targets = {"milvus": milvus, "pinecone": pinecone}

    def put(self, *rows: dict[str, Any]) -> None:
        put(self.lake, *rows)
        embed(self.lake)

    def sync(self, backend: str) -> IndexSync:
        return index_sync(
            self.lake,
            self._targets[backend],
            self._folder,
            index=self.name,
            max_delete_share=0.1,
            run_id="trip",
        )

    def build(self, backend: str) -> GenerationState:
        """A new generation, from the lake."""
        return self.sync(backend).build(MODEL).generation

    def found(self, backend: str, state: GenerationState) -> dict[str, Hit]:
        """Every row as a search shows it."""
        probe = vector_of(MODEL, "anything")
        hits = self._targets[backend].search(
            state.identity, probe, k=100, scope=Scope.all_tenants()
        )
        return {hit.id: hit for hit in hits}

    def end(self) -> None:
        for backend in self._targets:
            sync = self.sync(backend)
            for state in sync.states.present():
                sync.drop(state)


@pytest.fixture(scope="module")
def targets(
    milvus_server: Server, pinecone_server: Server
) -> Iterator[tuple[VectorIndex, VectorIndex]]:
    opened = open_index(milvus_server), open_index(pinecone_server)
    yield opened
    for target in opened:
        target.close()


@contextmanager
def travelling(targets: tuple[VectorIndex, VectorIndex]) -> Iterator[Trip]:
    with ExitStack() as stack:
        trip = Trip(Path(stack.enter_context(tempfile.TemporaryDirectory())), *targets)
        stack.callback(trip.end)
        yield trip


@examples(2, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(attributes, min_size=1, max_size=20))
def test_attributes_come_back_from_both_backends_or_are_refused_by_row_and_field(
    targets: tuple[VectorIndex, VectorIndex], rows: list[dict[str, Any]]
) -> None:
    admitted: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        bad = {name for name, value in row.items() if attribute_problem(value)}
        found = check_row(
            SourceRow({"id": f"r{number}", "text": "words", **row}, f"rows:{number}", "rows"),
            source="s",
            fields=FieldMapping(key="id", text="text", attributes={name: name for name in row}),
        )
        assert found.key == f"r{number}"
        assert bool(found.problems) == bool(bad)
        for problem in found.problems:
            assert any(name in problem for name in bad), (problem, bad)
        if not bad:
            admitted[f"s:r{number}#0"] = row
    if not admitted:
        return
    with travelling(targets) as trip:
        trip.put(
            *(
                chunk(row_id[:-2], f"words of {row_id}", tenant=f"t{n % 3}", attributes=row)
                for n, (row_id, row) in enumerate(admitted.items())
            )
        )
        there, over, back = (trip.build(name) for name in ("milvus", "pinecone", "milvus"))
        for backend, state in (("milvus", there), ("pinecone", over), ("milvus", back)):
            hits = trip.found(backend, state)
            assert hits.keys() == admitted.keys()
            for row_id, row in admitted.items():
                assert canonical_json(hits[row_id].attributes) == canonical_json(row)


def test_long_and_odd_texts_come_back_or_are_refused_by_row_and_field(
    targets: tuple[VectorIndex, VectorIndex],
) -> None:
    odd = "東京 😀 \x01 \u2028 \" \\ \r\n\t' end"
    rows = {
        "s:odd#0": chunk("s:odd", odd, title=odd, tenant=odd, region=odd, attributes={"a": odd}),
        "s:long#0": chunk("s:long", "ü" * 8000, attributes={"a": "x" * 8000}),
        # More than Pinecone takes beside a vector, less than Milvus does.
        "s:wide#0": chunk("s:wide", "words", title="w" * 50_000),
    }
    with travelling(targets) as trip:
        trip.put(*rows.values())
        there, over, back = (trip.build(name) for name in ("milvus", "pinecone", "milvus"))
        (refused,) = RejectedRows(trip.lake, over).rows()
        assert (refused["id"], refused["tenant"]) == ("s:wide#0", "acme")
        assert "its largest field is title with 50002" in refused["reason"]
        for backend, state in (("milvus", there), ("pinecone", over), ("milvus", back)):
            hits = trip.found(backend, state)
            assert hits.keys() == rows.keys() - ({"s:wide#0"} if state is over else set())
            for row_id, hit in hits.items():
                row = rows[row_id]
                assert hit.attributes == json.loads(row["attributes"])
                for field in ("text", "title", "tenant", "region"):
                    assert getattr(hit, field) == row[field], (backend, row_id, field)
