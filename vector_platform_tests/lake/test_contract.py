from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.lake import contract
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import Snapshot
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put, rows_of


@pytest.mark.parametrize(
    "fields",
    [
        {"tenant": "acme", "region": "eu"},
        {"tenant": "Zürich 東京", "region": "größe"},
        {"tenant": "a\x1fb", "region": "c"},
        {"tenant": "a", "region": "b\x1fc"},
        {"tenant": "quote ' and \" and \\", "region": "line\nbreak\ttab"},
        {"tenant": "🦜", "region": "e\u0301"},
    ],
    ids=["ascii", "letters", "separator left", "separator right", "quotes", "beyond the BMP"],
)
def test_the_digest_of_the_contract_is_the_digest_of_the_lake(
    tmp_path: Path, fields: dict[str, str]
) -> None:
    lake = open_lake(tmp_path)
    row = chunk("s:1", "text", attributes={"name": "Ærø", "n": 1.5, "tags": ["x", "ÿ"]}, **fields)
    put(lake, row)
    embed(lake)
    expected = contract.digest_of(
        content_hash=row["content_hash"],
        fingerprint=lake.model_version(MODEL).fingerprint,
        tenant=row["tenant"],
        region=row["region"],
        attributes=row["attributes"],
    )
    snapshot = lake.snapshot()
    (key,) = rows_of(lake.index_keys(MODEL, snapshot))
    (full,) = rows_of(lake.index_rows(MODEL, snapshot))
    (now,) = lake.index_changes(MODEL, _before_everything(lake), snapshot)[0].to_pylist()
    assert {key["digest"], full["digest"], now["digest"]} == {expected}


def _before_everything(lake: Lake) -> Snapshot:
    return replace(lake.snapshot(), chunks=0)


def test_every_part_of_the_digest_matters() -> None:
    parts = {
        "content_hash": "c",
        "fingerprint": "f",
        "tenant": "t",
        "region": "r",
        "attributes": "{}",
    }
    digests = {contract.digest_of(**parts)}
    for name in parts:
        digests.add(contract.digest_of(**{**parts, name: parts[name] + "x"}))
    assert len(digests) == 1 + len(parts)


@given(key=st.text(), other=st.text())
def test_a_document_id_is_ascii_and_reversible(key: str, other: str) -> None:
    if any("\ud800" <= char <= "\udfff" for char in key + other):
        return
    doc_id = contract.doc_id_of("source", key)
    assert doc_id.isascii() and doc_id.isprintable() and " " not in doc_id
    assert unquote(doc_id.removeprefix("source:")) == key
    assert (doc_id == contract.doc_id_of("source", other)) == (key == other)


def test_a_common_key_stays_readable_in_its_document_id() -> None:
    assert contract.doc_id_of("aws", "s3/Get-Object_v2.1") == "aws:s3/Get-Object_v2.1"


@pytest.mark.parametrize(
    "value", ["text", "", True, 0, 2**53, -(2**53), 1.5, -0.0, [], ["a", "b"]], ids=repr
)
def test_what_both_backends_hold_is_an_attribute(value: object) -> None:
    assert contract.attribute_problem(value) is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**53 + 1, "beyond 2^53"),
        (-(2**53) - 1, "beyond 2^53"),
        (float("nan"), "not a finite"),
        (float("inf"), "not a finite"),
        (["a", None], "list holds NoneType"),
        (["a", 1], "list holds int"),
        ([["a"]], "list holds list"),
        ({"a": 1}, "type dict"),
        (None, "type NoneType"),
        (b"x", "type bytes"),
    ],
    ids=repr,
)
def test_what_a_backend_would_change_is_no_attribute(value: object, why: str) -> None:
    problem = contract.attribute_problem(value)
    assert problem is not None and why in problem


_attributes = st.dictionaries(
    st.text(max_size=5),
    st.one_of(
        st.text(max_size=5),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.lists(st.text(max_size=3), max_size=3),
    ),
    max_size=5,
)


@given(_attributes)
def test_canonical_json_is_lossless_and_ignores_the_order_of_keys(value: dict[str, object]) -> None:
    text = contract.canonical_json(value)
    assert json.loads(text) == value
    assert contract.canonical_json(dict(reversed(list(value.items())))) == text


def test_canonical_json_refuses_numbers_that_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        contract.canonical_json({"x": float("nan")})
