"""Tenants that look alike stay apart, from a source to an index and a search in it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.cli import main
from vector_platform.cli.exits import Exit
from vector_platform.corpus.chunking import Chunker
from vector_platform.corpus.chunks import sync_chunks
from vector_platform.corpus.former_tenants import former_identities
from vector_platform.corpus.publish import publish_marts
from vector_platform.indexes.contract import Scope
from vector_platform.lake.audit import audit_chunks
from vector_platform.lake.contract import DOCUMENTS, doc_id_of
from vector_platform.lake.lake import Lake
from vector_platform.releases.pointer.live import LivePointer
from vector_platform.serving.answers import BadQuery
from vector_platform.serving.searcher import Searcher
from vector_platform_tests.corpus.conftest import LOOK_ALIKES, NO_TENANTS, Deployment
from vector_platform_tests.indexes.memory_index import MemoryIndex
from vector_platform_tests.lake.building import MODEL, embed, rows_of
from vector_platform_tests.serving.worlds import searcher_of
from vector_platform_tests.syncing import index_sync


@pytest.fixture(scope="module")
def served(
    built: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lake, MemoryIndex]]:
    """The built documents, published, cut, embedded and synced into an index, in a lake beside."""
    folder = tmp_path_factory.mktemp("served")
    lake = Lake(str(folder / "lake"))
    publish_marts(built.database, lake.documents, lake.relations, run_id="run")
    sync_chunks(lake.documents, lake.chunks, Chunker(max_tokens=128), run_id="run")
    embed(lake)
    index = MemoryIndex()
    sync = index_sync(lake, index, folder)
    state = sync.sync(MODEL).generation
    pointer = LivePointer(lake, index.backend, "documents")
    pointer.promote(state, actor="ann", reason="r", evidence={}, run_id="run")
    yield lake, index


def test_every_document_has_the_tenant_of_its_row_exactly(built: Deployment) -> None:
    rows = [row for row in built.documents().values() if row["source"] == "alike"]
    assert {row["tenant"] for row in rows} == LOOK_ALIKES
    assert all(row["key"] == row["tenant"] for row in rows)
    assert {row["region"] for row in rows} == {"\u00a0\U0001f30d"}
    # The same text, and yet nobody's duplicate: each is another tenant's.
    assert {row["duplicate_of"] for row in rows} == {None}


def test_a_row_whose_tenant_the_contract_does_not_admit_is_a_reject(built: Deployment) -> None:
    rows = built.lake.raw_rejects.read(where=[("source", "==", "alike")]).to_pylist()
    assert {row["key"] for row in rows} == {f"bad {n}" for n in range(len(NO_TENANTS))}
    assert all("who" in row["reason"] for row in rows)


def test_relations_end_at_exactly_what_a_row_names(built: Deployment) -> None:
    found = built.query("FROM marts.relations WHERE source = 'alike'")
    assert {(row["subject"], row["object"]) for row in found} == {
        (doc_id_of("alike", name), other)
        for name in LOOK_ALIKES
        for other in (f"{name}?", doc_id_of("alike", name))
    }


def test_chunks_and_index_rows_keep_the_tenants_apart(served: tuple[Lake, MemoryIndex]) -> None:
    lake, _ = served
    rows = [
        row for row in rows_of(lake.index_rows(MODEL, lake.snapshot())) if row["doc_id"] in _ours()
    ]
    assert {row["tenant"] for row in rows} == LOOK_ALIKES
    for row in rows:
        wanted = {"digest": row["tenant"], "attr_x": [row["tenant"], ""]}
        assert json.loads(row["attributes"]) == wanted
    assert len({row["digest"] for row in rows}) == len({row["id"] for row in rows}) == len(rows)
    assert audit_chunks(lake) and not any(finding.rows for finding in audit_chunks(lake))


def _ours() -> set[str]:
    return {doc_id_of("alike", name) for name in LOOK_ALIKES}


@pytest.mark.parametrize("tenant", sorted(LOOK_ALIKES))
def test_a_search_with_a_tenant_finds_that_tenants_rows_alone(
    served: tuple[Lake, MemoryIndex], tenant: str
) -> None:
    hits = _searcher(served).search("x", scope=Scope.of(tenant), k=50).hits
    assert [hit.tenant for hit in hits] == [tenant]


@pytest.mark.parametrize("tenant", NO_TENANTS)
def test_a_search_refuses_what_no_tenant_can_be(
    served: tuple[Lake, MemoryIndex], tenant: str
) -> None:
    with pytest.raises(BadQuery, match="tenant"):
        _searcher(served).search("x", scope=Scope.of(tenant))


def _searcher(served: tuple[Lake, MemoryIndex]) -> Searcher:
    lake, index = served
    # Every query is the vector of the one text of the look-alikes.
    known = lake.embeddings.read(["vector"]).column("vector")[0].as_py()
    return searcher_of(lake, lambda _: index, embed=lambda *_: np.asarray(known))


def test_the_audit_names_what_was_merged_before_and_where_its_rows_are(built: Deployment) -> None:
    lake = Lake(built.settings.lake_uri)
    publish_marts(built.database, lake.documents, lake.relations, run_id="run")
    rows = lake.documents.read().to_pylist()
    # What an earlier version held: the composed one's documents are the other's too.
    merged = [row | {"tenant": "a b"} for row in rows if row["tenant"] == "a  b"]
    lake.documents.merge(pa.Table.from_pylist(merged, schema=DOCUMENTS.schema))
    found = {(one.role, one.became): one for one in former_identities(lake, built.settings)}
    groups = {
        name: {value.value for value in one.values}
        for (role, name), one in found.items()
        if role == "tenant" and one.merged
    }
    assert groups == {
        "a b": {"a  b", "a b"},
        "plain": {"plain ", "plain"},
        "zero": {"zero\ufeff", "zero"},
        "caf\u00e9": {"caf\u00e9", "cafe\u0301"},
        "\u00c5": {"\u212b", "\u00c5", "A\u030a"},
    }
    elsewhere = {value.value: value.documents_elsewhere for value in found["tenant", "a b"].values}
    assert elsewhere == {"a  b": 1, "a b": 0}
    assert not found["region", "eu"].merged and found["region", "eu"].values[0].value == " eu "


def test_the_audit_on_the_command_line_exits_3_when_it_finds_any(
    built: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VECTOR_PLATFORM_CONFIG", str(built.root / "platform.yaml"))
    monkeypatch.setattr("sys.argv", ["vector-platform", "lake", "audit-tenants", "--json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    found = json.loads(capsys.readouterr().out)
    assert stopped.value.code == Exit.DIFFERS
    assert found[0]["role"] == "tenant" and found[0]["merged"]
    assert {"value", "rows", "sources", "documents_elsewhere"} <= set(found[0]["values"][0])
