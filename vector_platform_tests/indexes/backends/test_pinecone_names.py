"""Names of namespaces, indexes and aliases that can be read back, and fit."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.indexes.backends.pinecone.names import (
    generation_marker,
    namespace_alias,
    namespace_name,
    parse_namespace,
    pinecone_index_name,
)
from vector_platform.indexes.backends.pinecone.terms import INDEX_ALIASES, alias_changes
from vector_platform.indexes.contract import Generation

GENERATION = Generation("documents", "g0007", "static-1", 4)

tenants = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
generations = st.integers(1, 10**6).map(lambda number: f"g{number:04d}")
model_versions = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,47}", fullmatch=True)
indexes = st.from_regex(r"[a-z][a-z0-9]{0,19}", fullmatch=True)


@given(tenants, generations)
def test_a_namespace_says_whose_it_is(tenant: str, generation: str) -> None:
    name = namespace_name(tenant, generation)
    assert name.isascii()
    assert parse_namespace(name) == (tenant, generation)


@pytest.mark.parametrize(
    "name", ["", "acme", "acme@", "acme@g1", "a b@g0001", "acme@live", "%41@g0001"]
)
def test_a_namespace_of_somebody_else_is_not_taken_for_ours(name: str) -> None:
    assert parse_namespace(name) is None


def test_the_marker_of_a_generation_has_no_tenant() -> None:
    assert parse_namespace(generation_marker("g0001")) == ("", "g0001")


def test_a_tenant_too_long_for_a_namespace_is_named() -> None:
    with pytest.raises(ValueError, match="tenant 'üüü"):
        namespace_name("ü" * 90, "g0001")


@given(indexes, model_versions)
def test_every_model_version_has_an_index_name_that_pinecone_admits(
    index: str, version: str
) -> None:
    name = pinecone_index_name(index, version)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?", name)


@given(indexes, st.lists(model_versions, min_size=2, max_size=2, unique=True))
def test_different_model_versions_have_different_indexes(index: str, versions: list[str]) -> None:
    first, second = versions
    assert pinecone_index_name(index, first) != pinecone_index_name(index, second)


def test_a_model_version_that_fits_is_readable_in_the_name() -> None:
    assert pinecone_index_name("documents", "minilm-l6") == "documents-minilm-l6"
    assert pinecone_index_name("documents", "a.b").startswith("documents-a-b-")


@given(tenants)
def test_an_alias_is_the_tenant_or_nothing(tenant: str) -> None:
    alias = namespace_alias(tenant)
    assert alias in (None, tenant)
    if alias is not None:
        assert not re.search(r"[^\x21-\x7e]|[#%&+/;=?\\]", alias)


@pytest.mark.parametrize("tenant", ["a b", "a/b", "ü", "acme@g0001", ".", "__default__", ""])
def test_a_tenant_whose_name_cannot_be_an_alias_has_none(tenant: str) -> None:
    assert namespace_alias(tenant) is None


def test_aliases_follow_the_tenants_and_leave_those_of_others() -> None:
    current = {
        "stays": "stays@g0007",
        "moves": "moves@g0006",
        "left": "left@g0006",
        "theirs": "elsewhere",
        "taken": "elsewhere",
    }
    changes = alias_changes(current, ["stays", "moves", "new", "taken", "not ascii ü"], GENERATION)
    assert changes.delete == ["left"]
    assert changes.create == {"new": "new@g0007"}
    assert changes.repoint["moves"] == "moves@g0007"
    assert "stays" not in changes.repoint
    assert changes.foreign == ["taken"]
    assert changes.without == ["not ascii ü"]


def test_tenants_beyond_the_room_for_aliases_go_without() -> None:
    many = [f"t{number:04d}" for number in range(INDEX_ALIASES + 5)]
    changes = alias_changes({"theirs": "x"}, many, replace(GENERATION, name="g0001"))
    assert len(changes.create) == INDEX_ALIASES - 1
    assert changes.without == many[-6:]
