"""Texts of people are data to dbt, whatever they look like."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.corpus.quoting import inert, inside_quotes, jinja_dict, jinja_string
from vector_platform_tests.corpus.conftest import (
    ODD,
    ODD_NAMES,
    ODD_ROW,
    Deployment,
    attributes_of,
)

PIECES = st.sampled_from(["{{", "}}", "{%", "%}", "{#", "#}", "\\", '"', "'", "\n", "\r", "-", "x"])
TEXT = st.lists(PIECES | st.characters(exclude_categories=["Cs"])).map("".join)


@pytest.fixture(scope="module")
def render() -> Callable[[str], Any]:
    """What dbt makes of a text: once as in a model, once as in YAML; they must agree."""
    from dbt.clients.jinja import get_rendered

    def rendered(text: str) -> Any:
        plain, native = (
            get_rendered(text, {"tojson": json.dumps}, native=n) for n in (False, True)
        )
        assert plain == native
        return plain

    return rendered


@given(text=TEXT)
def test_dbt_reads_every_text_as_it_was_written(render: Callable[[str], Any], text: str) -> None:
    assert render(f"{{{{ {jinja_string(text)} }}}}") == text
    assert render(inert(text)) == text
    assert render(yaml.safe_load(f'a: "{inside_quotes(text)}"')["a"]) == text


@given(mapping=st.dictionaries(TEXT, TEXT, max_size=4))
def test_dbt_reads_every_mapping_as_it_was_written(
    render: Callable[[str], Any], mapping: dict[str, str]
) -> None:
    assert json.loads(render(f"{{{{ tojson({jinja_dict(mapping)}) }}}}")) == mapping


@given(text=TEXT)
def test_nothing_in_a_string_looks_like_a_template(text: str) -> None:
    literal = jinja_string(text)
    assert literal.isascii() and literal.isprintable() and not set(literal) & set("{}%#'")


def test_odd_columns_constants_and_folders_reach_the_documents_as_they_are(
    built: Deployment,
) -> None:
    (row,) = (row for row in built.documents().values() if row["source"] == "odd")
    assert (row["key"], row["body"], row["title"]) == (
        "one",
        ODD_ROW["{{#each body}}"],
        ODD_ROW["{% title"],
    )
    assert (row["tenant"], row["region"]) == ("{{ tenant }}'\"", ODD["fields"]["region"]["value"])
    assert attributes_of(row) == {
        f"odd_{number}": f"value of {name}" for number, name in enumerate(ODD_NAMES)
    }
    (edge,) = built.query("FROM marts.relations WHERE source = 'odd'")
    assert edge["object"] == "{{ two }}"


def test_a_description_is_shown_as_it_was_written(built: Deployment) -> None:
    manifest = json.loads((built.database.parent / "target" / "manifest.json").read_text())
    odd = manifest["sources"]["source.vector_platform.raw.odd"]
    assert odd["description"] == ODD["description"]
