"""Identities: one definition for Python and SQL, of every character there is."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.lake.contract import MAX_TENANT_BYTES, digest_of, identity_of, identity_problem
from vector_platform.lake.identities import unfit_sql

HOSTILE = [
    *("a  b", "a b", "plain ", "plain", " plain", "a\ufeffb", "ab", "\ufeffa", "a\u200bb"),
    *("caf\u00e9", "cafe\u0301", "\u212b", "\u00c5", "A\u030a", "a", "\u0430", "\uff41", "A"),
    *("x']||id!='q'||(id)in['", "o'brien", '"', "\\", "%00", "{{ x }}", "a;--", "\U0010ffff"),
    *("\ud7ff\ue000", "\ufffe", "a\u2028b", "null", "None", "5", "-5", "\u0665", "ﷺ" * 42),
]
REFUSED = ["", " ", "\u3000", "a\x00b", "a\x1fb", "\x7f", "a\x85", "a\nb", "\ta", "é" * 65]


@pytest.fixture(scope="module")
def sql() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def _unfit(sql: duckdb.DuckDBPyConnection, texts: list[str]) -> list[bool]:
    sql.register("given", pa.table({"v": pa.array(texts, pa.string())}))
    found = sql.sql(f"SELECT {unfit_sql('v', max_bytes=MAX_TENANT_BYTES)} AS v FROM given")
    return found.to_arrow_table().column("v").to_pylist()


def test_sql_and_python_admit_the_same_of_every_character_alone_and_within_a_word(
    sql: duckdb.DuckDBPyConnection,
) -> None:
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for texts in (every, [f"a{one}b" for one in every]):
        refused = [identity_problem(text, max_bytes=MAX_TENANT_BYTES) is not None for text in texts]
        assert _unfit(sql, texts) == refused
    # Within a word, the control characters alone.
    assert sum(refused) == 32 + 33


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=140), min_size=1))
def test_sql_and_python_admit_the_same_texts(
    sql: duckdb.DuckDBPyConnection, texts: list[str]
) -> None:
    assert _unfit(sql, texts) == [
        identity_problem(text, max_bytes=MAX_TENANT_BYTES) is not None for text in texts
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_admitted_is_taken_as_it_is(text: str) -> None:
    assert identity_problem(text, max_bytes=MAX_TENANT_BYTES) is None
    assert identity_of(text) == text


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_admitted_is_refused_by_name(text: str) -> None:
    assert identity_problem(text, max_bytes=MAX_TENANT_BYTES)


def test_half_a_character_is_refused() -> None:
    assert "U+D800 at character 2" in (identity_problem("a\ud800") or "")


IDENTITY = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)


@given(st.lists(st.tuples(IDENTITY, IDENTITY), unique=True, min_size=2, max_size=20))
def test_no_two_rows_of_different_tenants_or_regions_have_one_digest(
    named: list[tuple[str, str]],
) -> None:
    digests = {
        digest_of(content_hash="0", fingerprint="f", tenant=tenant, region=region, attributes="{}")
        for tenant, region in named
    }
    assert len(digests) == len(named)
