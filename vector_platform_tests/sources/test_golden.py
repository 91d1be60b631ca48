"""Golden queries of BEIR folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from vector_platform.errors import ContractError
from vector_platform.lake.contract import GOLDEN_QUERIES
from vector_platform.settings import Settings
from vector_platform.sources.base import Source, SourceUnreachable
from vector_platform.sources.golden import read_golden_queries
from vector_platform.wiring import load_settings

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def settings(root: Path, path: str) -> Settings:
    written = {
        "start_date": "2026-11-01",
        "sources": {"notes": {"kind": "files", "path": "notes"}},
        "models": {"m": {"package": "p"}},
        "golden_queries": {"known": {"source": "notes", "kind": "beir", "path": path}},
    }
    (root / "platform.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    return load_settings(root / "platform.yaml", environ={})


def nothing(name: str) -> Source:
    raise AssertionError("a BEIR set does not open its source")


def write(root: Path, queries: str, qrels: str) -> Settings:
    (root / "set").mkdir()
    (root / "set" / "queries.jsonl").write_text(queries)
    (root / "set" / "qrels.tsv").write_text(qrels)
    return settings(root, "set")


def test_queries_and_judgements_are_joined(tmp_path: Path) -> None:
    queries = [
        {"_id": "q1", "text": "one", "metadata": {"tenant": "red"}},
        {"_id": "q2", "text": "two"},
        {"_id": "q3", "text": "not judged"},
    ]
    qrels = "query-id\tcorpus-id\tscore\nq1\td 1\t2\nq1\td2\t1\nq2\td2\t1\n"
    known = write(tmp_path, "\n".join(map(json.dumps, queries)), qrels)
    table = read_golden_queries(known, open_source=nothing)
    assert table.schema == GOLDEN_QUERIES.schema
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert rows == [
        ("known", "q1", "one", "notes:d%201", 2, "red", "beir:set"),
        ("known", "q1", "one", "notes:d2", 1, "red", "beir:set"),
        ("known", "q2", "two", "notes:d2", 1, None, "beir:set"),
    ]


def test_a_quote_in_a_key_is_a_quote(tmp_path: Path) -> None:
    known = write(tmp_path, '{"_id": "q1", "text": "one"}', 'q1\t"a\t1\nq1\tb"\t2\n')
    keys = read_golden_queries(known, open_source=nothing).column("doc_id").to_pylist()
    assert keys == ['notes:"a', 'notes:b"']


def test_all_bad_lines_are_listed(tmp_path: Path) -> None:
    queries = '{"_id": "q1", "text": "one"}\n{oops\n{"_id": "q2"}\n{"_id": "q1", "text": "x"}\n'
    known = write(
        tmp_path, queries + '{"_id": "q4", "text": " "}', "q1\td1\nq9\td1\t1\nq1\td1\tx\n"
    )
    with pytest.raises(ContractError, match="golden queries 'known': 7 violation") as raised:
        read_golden_queries(known, open_source=nothing)
    places = [line.split(": ")[0] for line in raised.value.violations]
    assert places == [
        *(f"queries.jsonl:{number}" for number in (2, 3, 4, 5)),
        *(f"qrels.tsv:{number}" for number in (1, 2, 3)),
    ]


def test_a_missing_folder_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match="golden queries 'known'"):
        read_golden_queries(settings(tmp_path, "nowhere"), open_source=nothing)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data is not there")
@pytest.mark.parametrize(("corpus", "queries"), [("advisories", 599), ("attack", 3338)])
def test_the_shared_corpora_are_read(corpus: str, queries: int) -> None:
    table = read_golden_queries(settings(SHARED, corpus), open_source=nothing)
    assert len(set(table["query_id"].to_pylist())) == queries
