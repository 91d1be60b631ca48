"""Rows that a backend refuses, and rows that are suddenly gone: nothing is lost in silence.

The tests of this file are one story on one deployment, told in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from vector_platform.cli.exits import Exit
from vector_platform.orchestration.launch import RunFailed
from vector_platform_tests.integration.deployments import BACKENDS, WORDS, Deployment, running

pytestmark = [pytest.mark.deep, pytest.mark.integration]

DAYS = [date(2026, 1, day) for day in range(5, 9)]
ROWS = 20
STAGE = f"embeddings and indexes {WORDS}"
# More than a VARCHAR of Milvus holds, and more than Pinecone takes beside a vector.
LONG_TITLE = "a title without end " * 4000


def write_rows(root: Path, *, title: str = "Rules", count: int = ROWS) -> None:
    rows = [
        {"id": f"i{n}", "title": f"Item {n}", "text": f"How to care for item {n}."}
        for n in range(count)
    ]
    if rows:
        rows[7]["title"] = title
    (root / "items.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("refused")
    write_rows(root, title=LONG_TITLE)
    fields = {"key": "id", "title": "title", "text": "text"}
    source = {"kind": "files", "path": "items.jsonl", "fields": fields}
    with running(root, sources={"items": source}) as deployment:
        yield deployment


def rejected(home: Deployment) -> list[dict[str, Any]]:
    return home.platform.lake.rejected_rows.read().to_pylist()


def test_a_row_that_no_backend_holds_degrades_the_run_and_the_others_land(
    home: Deployment,
) -> None:
    indexed = home.converge(DAYS[0])[STAGE]
    assert set(indexed.failed_checks) == {
        f"{name}/documents:every_row_is_indexed" for name in BACKENDS
    }
    found = rejected(home)
    assert sorted(row["backend"] for row in found) == list(BACKENDS)
    for row in found:
        assert (row["doc_id"], row["source"], row["run_id"]) == (
            "items:i7",
            "items",
            indexed.run_id,
        )
        assert row["uri"].endswith("items.jsonl")
        assert "title" in row["reason"]
    for backend in BACKENDS:
        kept = {key for key in home.desired() if not key[0].startswith("items:i7#")}
        assert home.stored(backend) == kept
        assert len(kept) == ROWS - 1


def test_a_mended_row_lands_and_leaves_the_table_by_itself(home: Deployment) -> None:
    write_rows(home.root)
    indexed = home.converge(DAYS[1])[STAGE]
    assert indexed.failed_checks == ()
    assert rejected(home) == []
    for backend in BACKENDS:
        assert home.stored(backend) == home.desired()


def test_a_source_that_returns_nothing_empties_no_index(home: Deployment) -> None:
    write_rows(home.root, count=0)
    with pytest.raises(RunFailed, match=f"this would delete {ROWS} of {ROWS} rows"):
        home.converge(DAYS[2])
    for backend in BACKENDS:
        assert len(home.stored(backend)) == ROWS
        assert home.live(backend) == WORDS


def test_what_a_person_lets_through_is_recorded(home: Deployment) -> None:
    refused = home.cli("index", "sync", "--allow-delete", str(ROWS - 1))
    assert refused.code == Exit.REFUSED and f"--allow-delete {ROWS}" in refused.err
    done = home.cli("index", "sync", "--allow-delete", str(ROWS))
    assert done.code == 0, done.err
    allowed = {
        commit["place"]: commit["allowed_deletes"]
        for commit in home.platform.lake.index_state.history(10)
        if commit.get("allowed_deletes", "0") != "0"
    }
    assert allowed == {f"{name}/documents": str(ROWS) for name in BACKENDS}
    for backend in BACKENDS:
        assert home.stored(backend) == set()
