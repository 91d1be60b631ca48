"""Audits: every broken rule is counted, with the rows, their values and a way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vector_platform.lake.audit import Finding, audit_chunks, audit_vectors
from vector_platform.lake.contract import MAX_ATTRIBUTES_BYTES, MAX_ID_BYTES, MAX_TENANT_BYTES
from vector_platform.lake.lake import Lake
from vector_platform_tests.lake.building import (
    MODEL,
    append_vectors,
    chunk,
    chunks,
    open_lake,
    put,
    register,
    vector_of,
)

BROKEN = {
    "id_fits_backends": ({"chunk_id": "x" * (MAX_ID_BYTES + 1)}, f"{MAX_ID_BYTES + 1} bytes"),
    "tenant_is_named": ({"tenant": "t" * (MAX_TENANT_BYTES + 1)}, "t" * 80),
    "region_is_named": ({"region": "e\x1fu"}, "e\x1fu"),
    "text_is_not_empty": ({"text": "  "}, "  "),
    "attributes_are_an_object": ({"attributes": "[1]"}, "[1]"),
    "attributes_fit_backends": (
        {"attributes": '{"a":"' + "x" * MAX_ATTRIBUTES_BYTES + '"}'},
        f"{MAX_ATTRIBUTES_BYTES + 8} bytes",
    ),
    "content_hash_is_right": ({"content_hash": "0" * 32}, "0" * 32),
}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path)
    register(lake)
    put(lake, *(chunk(f"guides:{n}", f"text {n}") for n in range(5)))
    return lake


def broken(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.rule: finding for finding in findings if finding.rows}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_chunk_that_breaks_a_rule_is_named_with_its_value(lake: Lake, rule: str) -> None:
    changed, shown = BROKEN[rule]
    row = chunk("guides:bad", "bad text") | changed
    assert broken(audit_chunks(lake)) == {}
    lake.chunks.append(chunks([row]))
    found = broken(audit_chunks(lake))[rule]
    assert (found.rows, found.sample, found.values) == (1, [row["chunk_id"]], [shown])
    assert found.field in changed and found.way_out


def test_a_chunk_that_is_there_twice_is_counted_as_two_rows(lake: Lake) -> None:
    lake.chunks.append(chunks([chunk("guides:3", "text 3")]))
    (found,) = broken(audit_chunks(lake)).values()
    assert (found.rule, found.rows, found.field) == ("id_is_unique", 2, "chunk_id")
    assert found.sample == ["guides:3#0"] * 2 and found.values == ["2 copies"] * 2


def test_rows_and_their_values_are_in_the_same_order(lake: Lake) -> None:
    lake.chunks.append(
        chunks(chunk(f"guides:b{n}", f"t {n}") | {"content_hash": f"{9 - n}"} for n in range(3))
    )
    (found,) = broken(audit_chunks(lake)).values()
    assert (found.sample, found.values) == (
        ["guides:b0#0", "guides:b1#0", "guides:b2#0"],
        list("987"),
    )


@pytest.mark.parametrize(
    ("rule", "vector", "shown"),
    [
        ("dimension_is_registered", np.array([0.6, 0.8], np.float32), "2 dimensions"),
        ("norm_is_one", np.array([2, 0, 0, 0], np.float32), "norm 2.0"),
        ("values_are_finite", np.array([np.nan, 0, 0, 1], np.float32), "norm nan"),
    ],
)
def test_a_vector_that_breaks_a_rule_is_named_with_its_value(
    lake: Lake, rule: str, vector: np.ndarray, shown: str
) -> None:
    append_vectors(lake, MODEL, {"good": vector_of(MODEL, "good")})
    assert broken(audit_vectors(lake, MODEL)) == {}
    append_vectors(lake, MODEL, {"bad": vector})
    (found,) = broken(audit_vectors(lake, MODEL)).values()
    assert (found.rule, found.rows, found.sample) == (rule, 1, ["bad"])
    assert found.values == [shown] and found.field == "vector"
    assert "new name" in found.way_out
