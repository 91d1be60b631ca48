"""The `openai` client as it is sold, against the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from vector_platform.serving.http.app import create_app
from vector_platform.serving.http.server import SearchServer
from vector_platform_tests.lake.building import chunk, embed, put
from vector_platform_tests.releases.deployment import Deployment
from vector_platform_tests.serving.worlds import go_live, searcher_of, with_documents


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    world = Deployment(tmp_path_factory.mktemp("openai"))
    attributes = {"severity": "high", "score": 7, "tags": ["a", "b"]}
    put(world.lake, chunk("s:a/b#c%25", "an odd one", title="Odd", attributes=attributes))
    with_documents(world, "s:a/b#c%25")
    embed(world.lake, "old.v1")
    go_live(world)
    with (
        searcher_of(world.lake, world.target, attributes=set(attributes)) as searcher,
        SearchServer(create_app(searcher), port=0) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def client(server: SearchServer) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none", default_query={"tenants": "acme"},
        max_retries=0, timeout=30,
    )  # fmt: skip


def test_a_search_finds_and_carries_what_answered(client: openai.OpenAI) -> None:
    page = client.vector_stores.search("documents", query="Odd\nan odd one", max_num_results=3)
    first = page.data[0]
    assert (first.file_id, first.filename, first.content[0].text) == (
        "s:a/b#c%25", "Odd", "an odd one",
    )  # fmt: skip
    assert first.score == pytest.approx(1, abs=1e-5)
    assert first.attributes == {"severity": "high", "score": 7, "tags": "a, b"}
    assert len(page.data) == 3 and first.model_extra["tenant"] == "acme"
    assert page.model_extra["generation"] == "g0001" and page.model_extra["degraded"] is False
    several = client.vector_stores.search("documents", query=["Odd\nan odd one", "text of s:3"])
    assert {one.file_id for one in several.data[:2]} == {"s:a/b#c%25", "s:3"}


def test_filters_and_thresholds_are_followed(client: openai.OpenAI) -> None:
    search = client.vector_stores.search
    found = search(
        "documents",
        query="x",
        filters={
            "type": "and",
            "filters": [
                {"type": "eq", "key": "severity", "value": "high"},
                {"type": "gte", "key": "score", "value": 7},
            ],
        },
    )
    assert [one.file_id for one in found.data] == ["s:a/b#c%25"]
    close = search(
        "documents",
        query="text of s:3",
        ranking_options={"ranker": "auto", "score_threshold": 0.99},
    )
    assert [one.file_id for one in close.data] == ["s:3"]


def test_stores_files_and_contents_are_read(client: openai.OpenAI) -> None:
    [store] = client.vector_stores.list().data
    assert (store.id, store.status, store.file_counts.total) == ("documents", "completed", 13)
    assert client.vector_stores.retrieve("documents").id == "documents"
    files = list(client.vector_stores.files.list("documents", limit=5))  # every page
    assert len(files) == 13 and len({one.id for one in files}) == 13
    one = client.vector_stores.files.retrieve("s:a/b#c%25", vector_store_id="documents")
    assert (one.id, one.status) == ("s:a/b#c%25", "completed")
    content = client.vector_stores.files.content("s:a/b#c%25", vector_store_id="documents")
    assert [part.text for part in content] == ["body of s:a/b#c%25"]


def test_another_tenant_sees_its_own(client: openai.OpenAI) -> None:
    theirs = client.with_options(default_query={"tenants": "zeta"})
    assert [one.id for one in theirs.vector_stores.files.list("documents")] == ["s:theirs"]
    with pytest.raises(openai.NotFoundError) as caught:
        client.vector_stores.files.content("s:theirs", vector_store_id="documents")
    assert caught.value.code == "not_found"


def test_errors_are_those_of_the_client(client: openai.OpenAI) -> None:
    search = client.vector_stores.search
    with pytest.raises(openai.BadRequestError) as caught:
        search("documents", query="x", filters={"type": "eq", "key": "sevrity", "value": "high"})
    assert (caught.value.param, caught.value.code) == ("filters.key", "invalid_value")
    with pytest.raises(openai.BadRequestError) as caught:
        search("documents", query="")
    assert caught.value.param == "query"
    with pytest.raises(openai.BadRequestError) as caught:
        search("documents", query="x", max_num_results=51)
    assert caught.value.param == "max_num_results"
    with pytest.raises(openai.NotFoundError) as missing:
        search("other", query="x")
    assert missing.value.param == "vector_store_id"
    nobody = client.with_options(default_query={})
    nobody._custom_query = {}
    with pytest.raises(openai.BadRequestError) as caught:
        nobody.vector_stores.search("documents", query="x")
    assert (caught.value.param, caught.value.code) == ("tenants", "missing_field")


WRITES: dict[str, Callable[[openai.OpenAI], Any]] = {
    "create": lambda client: client.vector_stores.create(name="x"),
    "update": lambda client: client.vector_stores.update("documents", name="x"),
    "delete": lambda client: client.vector_stores.delete("documents"),
    "add": lambda client: client.vector_stores.files.create("documents", file_id="x"),
    "remove": lambda client: client.vector_stores.files.delete("x", vector_store_id="documents"),
    "attributes": lambda client: client.vector_stores.files.update(
        "x", vector_store_id="documents", attributes={"a": "b"}
    ),
    "batch": lambda client: client.vector_stores.file_batches.create("documents", file_ids=["x"]),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_refused_with_the_reason(client: openai.OpenAI, name: str) -> None:
    with pytest.raises(openai.APIStatusError, match="follows the lake") as caught:
        WRITES[name](client)
    assert (caught.value.status_code, caught.value.code) == (405, "read_only")
    assert caught.value.response.headers["allow"] == "GET"
