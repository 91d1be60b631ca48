"""The command line from the first run to a repaired index: a sample of `test_cli.py`."""

from __future__ import annotations

import json

import pytest

from vector_platform_tests.integration.damage import damage_milvus
from vector_platform_tests.integration.deployments import BACKENDS, Deployment
from vector_platform_tests.integration.test_cli import ROWS, home, ok

__all__ = ["home"]

pytestmark = pytest.mark.integration


def test_a_first_run_is_searched_damaged_and_repaired(home: Deployment) -> None:
    gone = {"kind": "files", "path": "gone.jsonl", "fields": {"key": "id", "text": "text"}}
    items = home.described["sources"]
    home.described["sources"] = {**items, "gone": gone}
    home.save()
    first = home.cli("run", "--day", "2026-01-05")
    assert first.code == 1
    assert "error: source gone did not land: no such file or folder: gone.jsonl" in first.err
    assert "milvus is up at" in first.out and f"{ROWS} rows read" in first.out
    home.described["sources"] = items
    home.save()

    found = json.loads(ok(home.cli("search", "care for carpets in building 12", "--json")).out)
    assert [result["hits"][0]["id"] for result in found] == ["items:i12#0", "items:i12#0"]

    ours = ("--backend", "milvus")
    damage_milvus(home)
    verified = home.cli("index", "verify", *ours)
    assert verified.code == 3
    assert "2 missing, 1 stale, 1 orphaned, 1 in the wrong tenant" in verified.out
    assert "3 rewritten, 2 deleted" in ok(home.cli("index", "repair", *ours)).out

    facts = json.loads(ok(home.cli("index", "sync", "--json")).out)
    assert [fact["mode"] for fact in facts] == ["none", "none"]
    for backend in BACKENDS:
        assert home.stored(backend) == home.desired()
    assert ok(home.cli("services", "down")).out == "stopped: milvus, pinecone\n"
