"""The control plane as the unmodified SDK uses it, and what a restart keeps."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from pinecone import AsyncPinecone, Pinecone
from pinecone.exceptions import NotFoundException, PineconeApiException

from vector_platform.local.pinecone_server import PineconeServer
from vector_platform.local.pinecone_server.data.catalog import DataFolderInUseError
from vector_platform.local.pinecone_server.http.server import PortInUseError
from vector_platform_tests.local.conftest import API_KEY, SCHEMA, document, nearest


def status_of(call: Any) -> int:
    with pytest.raises(PineconeApiException) as refused:
        call()
    return int(refused.value.status_code)


def test_an_index_is_created_described_listed_and_deleted(client: Pinecone) -> None:
    created = client.indexes.create(name="first", schema=SCHEMA, tags={"team": "search"})
    assert created.status.ready
    described = client.indexes.describe("first")
    assert set(described.schema.fields) == set(SCHEMA["fields"])
    assert described.schema.fields["vector"].dimension == 4
    assert described.tags == {"team": "search"}
    assert described.deployment.cloud == "aws"
    assert [index.name for index in client.indexes.list()] == ["first"]
    client.indexes.delete("first")
    assert not client.indexes.exists("first")
    with pytest.raises(NotFoundException):
        client.indexes.describe("first")


def test_tags_are_merged_and_an_empty_value_removes_one(client: Pinecone) -> None:
    client.indexes.create(name="first", schema=SCHEMA, tags={"a": "1", "b": "2"})
    client.indexes.configure("first", tags={"a": "", "c": "3"})
    assert client.indexes.describe("first").tags == {"b": "2", "c": "3"}


def test_a_protected_index_cannot_be_deleted(client: Pinecone) -> None:
    client.indexes.create(name="first", schema=SCHEMA, deletion_protection="enabled")
    assert status_of(lambda: client.indexes.delete("first")) == 403
    client.indexes.configure("first", deletion_protection="disabled")
    client.indexes.delete("first")


def test_a_name_is_taken_once_and_its_data_is_never_inherited(client: Pinecone) -> None:
    client.indexes.create(name="first", schema=SCHEMA)
    assert status_of(lambda: client.indexes.create(name="first", schema=SCHEMA)) == 409
    client.index(name="first").documents.upsert(namespace="t", documents=[document("a")])
    client.indexes.delete("first")
    client.indexes.create(name="first", schema=SCHEMA)
    assert client.index(name="first").describe_index_stats().total_vector_count == 0


@pytest.mark.parametrize(
    ("body", "status", "complaint"),
    [
        ({"name": "Upper", "schema": SCHEMA}, 400, "lower-case"),
        ({"name": "x" * 46, "schema": SCHEMA}, 400, "45"),
        ({"name": "a"}, 422, "schema"),
        ({"name": "a", "schema": SCHEMA, "colour": 1}, 422, "colour"),
        ({"name": "a", "schema": {"fields": {"n": {"type": "float"}}}}, 400, "'n'"),
        ({"name": "a", "schema": {"fields": {"n": {"type": "blob"}}}}, 422, "blob"),
        # As the SDK's own live suite has it: a string that says neither how it is searched nor
        # that it is filtered by is not read at all; one that says the latter is read and refused.
        ({"name": "a", "schema": {"fields": {"n": {"type": "string"}}}}, 422, "fields.n"),
        (
            {"name": "a", "schema": {"fields": {"n": {"type": "string", "filterable": True}}}},
            400,
            "only accepts fields used for search",
        ),
        ({"name": "a", "schema": {"fields": {"n": {"type": "integer"}}}}, 422, "integer"),
        ({"name": "a", "schema": {"fields": {"_x": {"type": "sparse_vector"}}}}, 400, "_x"),
        (
            {"name": "a", "schema": {"fields": {"v": {"type": "dense_vector", "dimension": 3}}}},
            422,
            "metric",
        ),
        (
            {
                "name": "a",
                "schema": {
                    "fields": {
                        "v": {"type": "dense_vector", "dimension": 20001, "metric": "cosine"}
                    }
                },
            },
            400,
            "20000",
        ),
        ({"name": "a", "schema": SCHEMA, "deployment": {"deployment_type": "pod"}}, 400, "pod"),
        ({"name": "a", "schema": SCHEMA, "deployment": {"deployment_type": "byoc"}}, 501, "byoc"),
        ({"name": "a", "schema": SCHEMA, "cmek_id": "k"}, 501, "cmek_id"),
        ({"name": "a", "schema": SCHEMA, "tags": {f"t{i}": "x" for i in range(21)}}, 400, "20"),
    ],
)
def test_a_wrong_index_is_refused_with_the_field_named(
    server: PineconeServer, body: dict[str, Any], status: int, complaint: str
) -> None:
    answer = httpx.post(f"{server.url}/indexes", json=body, headers={"Api-Key": API_KEY})
    assert answer.status_code == status
    assert complaint in answer.json()["error"]["message"]
    assert answer.json()["status"] == status


@pytest.mark.parametrize("path", ["/backups", "/collections", "/embed", "/indexes/a/backups"])
def test_what_the_server_leaves_out_is_answered_with_501(server: PineconeServer, path: str) -> None:
    answer = httpx.post(f"{server.url}{path}", json={}, headers={"Api-Key": API_KEY})
    assert answer.status_code == 501
    assert "does not do" in answer.json()["error"]["message"]


def test_only_the_right_key_is_let_in(server: PineconeServer) -> None:
    assert httpx.get(f"{server.url}/indexes").status_code == 401
    assert httpx.get(f"{server.url}/indexes", headers={"Api-Key": "no"}).status_code == 401
    assert httpx.get(f"{server.url}/indexes", headers={"Api-Key": API_KEY}).status_code == 200


def test_a_restart_serves_the_same_indexes_namespaces_aliases_and_documents(
    tmp_path: Path,
) -> None:
    with PineconeServer(tmp_path, api_key=API_KEY) as server:
        client = Pinecone(api_key=API_KEY, host=server.url)
        client.indexes.create(name="first", schema=SCHEMA, tags={"a": "1"})
        index = client.index(name="first")
        written = index.documents.upsert(
            namespace="t", documents=[document("a", body="cat", n=1), document("b", [0, 1, 0, 0])]
        )
        index.documents.delete(namespace="t", ids=["b"])
        alias = {"name": "live", "target_namespace": "t"}
        host = client.indexes.describe("first").host
        httpx.post(f"{host}/namespace-aliases", json=alias, headers={"Api-Key": API_KEY})
    with PineconeServer(tmp_path, api_key=API_KEY) as server:
        client = Pinecone(api_key=API_KEY, host=server.url)
        assert client.indexes.describe("first").tags == {"a": "1"}
        index = client.index(name="first")
        query = nearest([1, 0, 0, 0])
        found = index.documents.search(namespace="live", top_k=5, score_by=query)
        assert [match.id for match in found.matches] == ["a"]
        assert found.response_info.lsn_reconciled == written.response_info.lsn_committed + 1
        again = index.documents.upsert(namespace="t", documents=[document("c")])
        assert again.response_info.lsn_committed == found.response_info.lsn_reconciled + 1


def test_two_servers_never_share_a_folder_or_a_port(tmp_path: Path) -> None:
    with PineconeServer(tmp_path) as server:
        with pytest.raises(DataFolderInUseError, match="another process"):
            PineconeServer(tmp_path)
        with pytest.raises(PortInUseError, match=str(server.port)):
            PineconeServer(tmp_path / "other", port=server.port)


def test_files_of_a_deletion_that_a_kill_cut_short_are_swept_at_the_next_start(
    tmp_path: Path,
) -> None:
    with PineconeServer(tmp_path, api_key=API_KEY) as server:
        Pinecone(api_key=API_KEY, host=server.url).indexes.create(name="kept", schema=SCHEMA)
    (kept,) = [path for path in tmp_path.glob("index-*") if path.is_dir()]
    orphan = tmp_path / "index-0"
    orphan.mkdir()
    (orphan / "data.sqlite").write_bytes(b"")
    mine = tmp_path / "index-notes"
    mine.mkdir()
    with PineconeServer(tmp_path, api_key=API_KEY):
        assert kept.is_dir()
        assert mine.is_dir()
        assert not orphan.exists()


def test_the_asynchronous_sdk_is_served_as_well(server: PineconeServer, client: Pinecone) -> None:
    client.indexes.create(name="first", schema=SCHEMA)

    async def use() -> list[str]:
        async with AsyncPinecone(api_key=API_KEY, host=server.url) as pinecone:
            host = (await pinecone.indexes.describe("first")).host
            async with await pinecone.index(host=host) as index:
                await index.documents.upsert(namespace="t", documents=[document("a")])
                query = nearest([1, 0, 0, 0])
                found = await index.documents.search(namespace="t", top_k=1, score_by=query)
                return [match.id for match in found.matches]

    assert asyncio.run(use()) == ["a"]
