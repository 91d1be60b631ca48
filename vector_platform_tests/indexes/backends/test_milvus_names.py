"""Names and marks of collections that can be read back, and terms of a search."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.backends.milvus.names import collection_generation, collection_name
from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.backends.milvus.terms import read_mark, search_params
from vector_platform.indexes.contract import Generation
from vector_platform.indexes.marks import mark

GENERATION = Generation("documents", "g0007", "static-1", 4)

generations = st.integers(1, 10**6).map(lambda number: f"g{number:04d}")
indexes = st.from_regex(r"[a-z][a-z0-9]{0,19}", fullmatch=True)


@given(indexes, generations)
def test_a_collection_says_which_generation_it_holds(index: str, name: str) -> None:
    generation = Generation(index, name, "static-1", 4)
    assert collection_generation(index, collection_name(generation)) == name
    assert collection_generation(f"{index}x", collection_name(generation)) is None
    assert collection_generation(index, f"{index}_live") is None


def test_a_mark_is_read_from_properties_or_description() -> None:
    made = mark(GENERATION)
    assert read_mark({"properties": made}) == made
    assert read_mark({"description": str(made).replace("'", '"'), "properties": {}}) == made
    assert read_mark({"description": "mine", "properties": {"index": "documents"}}) is None
    assert read_mark({}) is None


def test_hnsw_visits_at_least_as_many_rows_as_are_asked_for() -> None:
    assert search_params(MilvusSettings(index_type="HNSW"), 10)["ef"] == 256
    assert search_params(MilvusSettings(index_type="HNSW"), 500)["ef"] == 500
    assert search_params(MilvusSettings(index_type="IVF_FLAT", search_params={"nprobe": 7}), 5) == {
        "nprobe": 7
    }
