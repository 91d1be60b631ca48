"""Namespaces and their aliases: what reads follow, what writes are refused."""

from __future__ import annotations

import threading
from itertools import count
from typing import Any

import httpx
import pytest
from pinecone import Pinecone
from pinecone.exceptions import NotFoundException, PineconeApiException

from vector_platform_tests.local.conftest import API_KEY, document, nearest


class Aliases:
    """The alias routes, which the SDK does not cover."""

    def __init__(self, host: str) -> None:
        headers = {"Api-Key": API_KEY, "X-Pinecone-Api-Version": "2026-07"}
        self.http = httpx.Client(base_url=host, headers=headers)

    def create(self, name: str, target: str) -> httpx.Response:
        return self.http.post("/namespace-aliases", json={"name": name, "target_namespace": target})

    def repoint(self, name: str, target: str) -> httpx.Response:
        return self.http.patch(f"/namespace-aliases/{name}", json={"target_namespace": target})

    def delete(self, name: str) -> httpx.Response:
        return self.http.delete(f"/namespace-aliases/{name}")

    def describe(self, name: str) -> httpx.Response:
        return self.http.get(f"/namespace-aliases/{name}")

    def list(self, **parameters: Any) -> httpx.Response:
        return self.http.get("/namespace-aliases", params=parameters)


@pytest.fixture
def aliases(client: Pinecone, index: Any) -> Aliases:
    return Aliases(client.indexes.describe("documents").host)


def reason(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["details"][0]["reason"]


def listed_namespaces(index: Any, **options: Any) -> list[Any]:
    return [found for page in index.list_namespaces(**options) for found in page.namespaces]


def found(index: Any, namespace: str) -> list[str]:
    query = nearest([1, 0, 0, 0])
    matches = index.documents.search(namespace=namespace, top_k=9, score_by=query).matches
    return [match.id for match in matches]


# Names that mean something to a path, a pattern or a query, and nothing to this server.
ODD_NAMES = (
    "a/documents/delete", "../..", "a\nb", "a\n", "%2F", "%252F", "a%", "_", "'; drop table record",
    "?x=1", "#", "&", "a b", "\\", "[a]", "*", '"', "\x01\x1f\x7f", "n" * 512,
)  # fmt: skip


def test_a_name_is_data_wherever_it_goes(index: Any) -> None:
    rows = {name: [f"{name[:500]}#{n}" for n in range(2)] for name in ODD_NAMES}
    for name, ids in rows.items():
        index.documents.upsert(namespace=name, documents=[document(i, of=name) for i in ids])
    assert {ns.name for ns in listed_namespaces(index)} == set(rows)
    for name, (first, second) in rows.items():
        assert index.describe_namespace(name=name).record_count == 2
        assert sorted(found(index, name)) == sorted([first, second])
        listed = index.documents.list(namespace=name, prefix=first, limit=1)
        assert [row.id for row in listed] == [first]
        by_value = index.documents.fetch(namespace=name, filter={"of": name}).documents
        assert by_value.keys() == {first, second}
        index.documents.delete(namespace=name, ids=[first])
        left = index.documents.fetch(namespace=name, ids=[first, second]).documents
        assert left.keys() == {second}
    for name, (_, second) in rows.items():
        assert found(index, name) == [second]
        index.delete_namespace(name=name)
    assert listed_namespaces(index) == []


def test_namespaces_are_created_listed_described_and_deleted(index: Any) -> None:
    index.create_namespace(name="empty", schema={"fields": {"n": {"filterable": True}}})
    index.documents.upsert(namespace="full", documents=[document("a"), document("b")])
    listed = {n.name: n.record_count for n in listed_namespaces(index)}
    assert listed == {"empty": 0, "full": 2}
    assert index.describe_namespace(name="empty").indexed_fields.fields == ["n"]
    assert [n.name for n in listed_namespaces(index, prefix="fu")] == ["full"]
    index.delete_namespace(name="full")
    with pytest.raises(NotFoundException):
        index.describe_namespace(name="full")
    assert found(index, "full") == []


def test_a_deleted_namespace_starts_empty_and_goes_on_counting(index: Any) -> None:
    first = index.documents.upsert(namespace="t", documents=[document("a")])
    index.delete_namespace(name="t")
    second = index.documents.upsert(namespace="t", documents=[document("b")])
    assert found(index, "t") == ["b"]
    assert second.response_info.lsn_committed > first.response_info.lsn_committed


def test_listing_namespaces_pages_through_all(index: Any) -> None:
    names = [f"n{i:02}" for i in range(25)]
    for name in names:
        index.create_namespace(name=name)
    assert [n.name for n in listed_namespaces(index, limit=10)] == names


def test_namespace_names_with_slashes_and_spaces_are_kept_apart(index: Any) -> None:
    for name in ("a/b", "a", "a/documents/b", "a b@7"):
        index.documents.upsert(namespace=name, documents=[document(f"in {name}")])
    for name in ("a/b", "a", "a/documents/b", "a b@7"):
        assert found(index, name) == [f"in {name}"]
        assert index.describe_namespace(name=name).record_count == 1


def test_reads_follow_an_alias_and_its_moves(index: Any, aliases: Aliases) -> None:
    index.documents.upsert(namespace="v1", documents=[document("one")])
    index.documents.upsert(namespace="v2", documents=[document("two")])
    created = aliases.create("live", "v1").json()
    assert found(index, "live") == ["one"]
    assert set(index.documents.fetch(namespace="live", ids=["one", "two"]).documents) == {"one"}
    assert [d.id for d in index.documents.list(namespace="live")] == ["one"]
    moved = aliases.repoint("live", "v2").json()
    assert moved["target_namespace"] == "v2"
    assert moved["created_at"] == created["created_at"]
    assert moved["updated_at"] > created["updated_at"]
    assert found(index, "live") == ["two"]
    assert aliases.delete("live").status_code == 200
    assert found(index, "live") == []


@pytest.mark.parametrize(("operation", "status", "why"), [
    ("upsert", 409, "NAME_IN_USE_BY_ALIAS"),
    ("update", 412, "WRITE_TO_ALIAS"),
    ("delete", 412, "WRITE_TO_ALIAS"),
])  # fmt: skip
def test_writes_to_an_alias_are_refused_with_its_target(
    index: Any, aliases: Aliases, operation: str, status: int, why: str
) -> None:
    index.documents.upsert(namespace="v1", documents=[document("one")])
    aliases.create("live", "v1")
    arguments = {"ids": ["one"]} if operation == "delete" else {"documents": [document("one")]}
    with pytest.raises(PineconeApiException) as refused:
        getattr(index.documents, operation)(namespace="live", **arguments)
    assert refused.value.status_code == status
    detail = refused.value.body["error"]["details"][0]
    assert detail == {"reason": why, "metadata": {"target_namespace": "v1"}}


def test_every_wrong_alias_request_has_its_reason(index: Any, aliases: Aliases) -> None:
    index.create_namespace(name="v1")
    assert aliases.create("live", "v1").status_code == 200
    assert reason(aliases.create("live", "v1")) == (409, "ALIAS_ALREADY_EXISTS")
    assert reason(aliases.create("v1", "v1")) == (409, "NAME_IN_USE_BY_NAMESPACE")
    assert reason(aliases.create("other", "live")) == (400, "TARGET_IS_ALIAS")
    assert reason(aliases.create("other", "none")) == (400, "TARGET_NAMESPACE_NOT_FOUND")
    assert reason(aliases.create("other", "")) == (400, "TARGET_NAMESPACE_REQUIRED")
    assert reason(aliases.create("a/b", "v1")) == (400, "ALIAS_NAME_INVALID")
    assert reason(aliases.create("__default__", "v1")) == (400, "ALIAS_NAME_INVALID")
    assert reason(aliases.repoint("absent", "v1")) == (404, "ALIAS_NOT_FOUND")
    assert reason(aliases.describe("absent")) == (404, "ALIAS_NOT_FOUND")
    too_old = aliases.http.get("/namespace-aliases", headers={"X-Pinecone-Api-Version": "2025-10"})
    assert reason(too_old) == (400, "API_VERSION_TOO_OLD")


def test_a_failed_repoint_leaves_the_alias_where_it_was(index: Any, aliases: Aliases) -> None:
    index.create_namespace(name="v1")
    aliases.create("live", "v1")
    assert aliases.repoint("live", "none").status_code == 400
    assert aliases.describe("live").json()["target_namespace"] == "v1"


def test_a_namespace_behind_an_alias_cannot_be_deleted(index: Any, aliases: Aliases) -> None:
    index.create_namespace(name="v1")
    aliases.create("live", "v1")
    for name in ("v1", "live"):
        with pytest.raises(PineconeApiException) as refused:
            index.delete_namespace(name=name)
        assert refused.value.status_code == 400
    with pytest.raises(PineconeApiException) as refused:
        index.create_namespace(name="live")
    assert refused.value.status_code == 409
    aliases.delete("live")
    index.delete_namespace(name="v1")


def test_aliases_are_listed_by_prefix_and_target_in_pages(index: Any, aliases: Aliases) -> None:
    for target in ("v1", "v2"):
        index.create_namespace(name=target)
        for i in range(3):
            aliases.create(f"{target}-{i}", target)
    by_target = aliases.list(target_namespace="v2").json()
    assert [a["name"] for a in by_target["namespace_aliases"]] == ["v2-0", "v2-1", "v2-2"]
    first = aliases.list(limit=4).json()
    assert first["total_count"] == 6
    token = first["pagination"]["next"]
    rest = aliases.list(limit=4, paginationToken=token).json()
    names = [a["name"] for a in first["namespace_aliases"] + rest["namespace_aliases"]]
    assert names == sorted(names) and len(names) == 6
    assert "pagination" not in rest


def test_no_read_fails_or_comes_back_empty_while_an_alias_moves(
    index: Any, aliases: Aliases
) -> None:
    for target in ("v1", "v2"):
        index.documents.upsert(namespace=target, documents=[document(target)])
    aliases.create("live", "v1")
    host, done = str(aliases.http.base_url), threading.Event()
    seen: list[tuple[int, str]] = []

    def read() -> None:
        body = {"top_k": 1, "score_by": nearest([1, 0, 0, 0])}
        with httpx.Client(base_url=host, headers={"Api-Key": API_KEY}) as http:
            while not done.is_set():
                answer = http.post("namespaces/live/documents/search", json=body)
                matches = answer.json()["matches"]
                seen.append((answer.status_code, matches[0]["_id"] if matches else "nothing"))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for move in count():
        reading = any(reader.is_alive() for reader in readers)
        if move >= 20 and (len(seen) >= 20 or not reading):
            break
        target = ("v2", "v1")[move % 2]
        assert aliases.repoint("live", target).status_code == 200
        # A read that starts after the answer is served from the new target.
        assert found(index, "live") == [target]
    done.set()
    for reader in readers:
        reader.join()
    assert len(seen) >= 20
    assert set(seen) <= {(200, "v1"), (200, "v2")}
