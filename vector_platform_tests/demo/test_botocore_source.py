"""The demo's source, held to the counts of botocore 1.44.5."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from vector_platform.demo.botocore_source import BotocoreReference, masked, split_camel_case
from vector_platform.settings import Settings
from vector_platform.sources.base import DayWindow, Source, SourceInvalid, SourceRow
from vector_platform.sources.golden import read_golden_queries
from vector_platform.sources.registry import open_source
from vector_platform.wiring import load_settings

ROOT = Path(__file__).parents[2]
WINDOW = DayWindow(date(2026, 11, 1))


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(ROOT / "platform.yaml", {})


@pytest.fixture(scope="module")
def source(settings: Settings) -> Source:
    try:
        installed = version("botocore")
    except PackageNotFoundError:
        pytest.skip("botocore is not installed: pip install 'vector-platform[demo]'")
    if installed != "1.44.5":
        pytest.skip(f"the counts are those of botocore 1.44.5, not {installed}")
    return open_source("aws_api", settings.sources["aws_api"], ROOT)


@pytest.fixture(scope="module")
def rows(source: Source) -> Iterator[dict[str, SourceRow]]:
    yield {row.values["key"]: row for row in source.read(WINDOW) if isinstance(row, SourceRow)}


def test_the_demo_corpus_has_the_counts_it_is_known_for(
    rows: dict[str, SourceRow], source: Source
) -> None:
    values = [row.values for row in rows.values()]
    assert len(values) == 2635
    assert len({row["service"] for row in values}) == 30
    assert sum(row["deprecated"] for row in values) == 9
    assert sum(len(row["raises"]) for row in values) == 7387
    assert sum(row["input"] is not None for row in values) == 2605
    assert sum(row["output"] is not None for row in values) == 2326
    assert sum(len(row["polls"]) for row in values) == 114
    assert len(list(source.golden_queries())) == 1209


def test_every_service_of_the_demo_has_at_least_twelve_queries(source: Source) -> None:
    counts: dict[str | None, int] = {}
    for query in source.golden_queries():
        counts[query.tenant] = counts.get(query.tenant, 0) + 1
    assert len(counts) == 30 and min(counts.values()) >= 12


def test_an_operation_says_what_it_is(rows: dict[str, SourceRow]) -> None:
    values = rows["secretsmanager.RotateSecret"].values
    assert values["title"] == "secretsmanager RotateSecret: rotate secret"
    assert (values["protocol"], values["http_method"]) == ("json", "POST")
    assert values["required"] == ["SecretId"]
    assert "ResourceNotFoundException" in values["errors"]
    assert "secretsmanager.ResourceNotFoundException" in values["raises"]
    assert values["input"] == "secretsmanager.RotateSecretRequest"
    assert rows["ec2.DescribeInstances"].values["polls"][0] == "ec2.InstanceExists"


def test_texts_hold_no_markup_and_mentions_are_documents(rows: dict[str, SourceRow]) -> None:
    for row in rows.values():
        assert not re.search(r"</?(p|a|code|li|ul|b|i|note|important)\b[^>]*>", row.values["text"])
        assert set(row.values["mentions"]) <= rows.keys() - {row.values["key"]}


def test_no_query_holds_the_name_of_its_answer(rows: dict[str, SourceRow], source: Source) -> None:
    queries = list(source.golden_queries())
    assert len(queries) > 1000
    for query in queries:
        assert query.relevant and query.relevant.keys() <= rows.keys()
        for key in query.relevant:
            assert key.partition(".")[2].lower() not in query.text.lower()


def test_golden_queries_become_rows_of_the_lake(settings: Settings, source: Source) -> None:
    table = read_golden_queries(settings, open_source=lambda name: source)
    assert len(set(table["query_id"].to_pylist())) == 1209
    assert all(doc_id.startswith("aws_api:") for doc_id in table["doc_id"].to_pylist())
    assert set(table["provenance"].to_pylist()) == {
        "vector_platform.demo.botocore_source:BotocoreReference"
    }


@pytest.mark.parametrize(
    ("text", "operation", "left"),
    [
        ("To call RunInstances now", "RunInstances", "To call now"),
        ("describe-db-instances and Describe DB instances", "DescribeDBInstances", "and"),
        ("Shows <code>x</code> &amp; y", "GetX", "Shows x & y"),
    ],
)
def test_masking_takes_out_the_name_joined_or_in_words(
    text: str, operation: str, left: str
) -> None:
    assert masked(text, operation) == left


def test_names_are_split_at_their_words() -> None:
    assert split_camel_case("DescribeDBInstancesV2") == ["Describe", "DB", "Instances", "V", "2"]


def test_an_unknown_service_is_named(source: Source) -> None:
    with pytest.raises(SourceInvalid, match="botocore has no service nosuch"):
        next(iter(BotocoreReference(["ec2", "nosuch"]).read(WINDOW)))


def test_without_botocore_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(SourceInvalid, match=r"vector-platform\[demo\]"):
        next(iter(BotocoreReference(["ec2"]).read(WINDOW)))
