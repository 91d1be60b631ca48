"""The service over a socket: what it answers, and what it refuses and how."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from vector_platform.cli.exits import Exit, code_of
from vector_platform.indexes.contract import IndexUnavailable, Scope
from vector_platform.serving.http.app import create_app
from vector_platform.serving.http.bodies import BatchBody, SearchBody
from vector_platform.serving.http.guards import MAX_BODY_BYTES, Guards
from vector_platform.serving.http.server import NotLoopback, PortTaken, SearchServer
from vector_platform_tests.releases.deployment import Deployment
from vector_platform_tests.serving.worlds import go_live, searcher_of, with_documents


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    world = Deployment(tmp_path_factory.mktemp("http"))
    with_documents(world)
    go_live(world)
    return world


@pytest.fixture(scope="module")
def server(world: Deployment) -> Iterator[SearchServer]:
    with (
        searcher_of(world.lake, world.target, attributes={"severity"}) as searcher,
        SearchServer(create_app(searcher), port=0) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def client(server: SearchServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


ASKED = {"tenants": ["acme"], "text": "text of s:3", "k": 3}


def test_a_search_is_answered_with_all_that_the_answer_rests_on(
    client: httpx.Client, world: Deployment
) -> None:
    answer = client.post("/v1/search", json=ASKED)
    told = answer.json()
    assert answer.status_code == 200
    assert told["hits"][0]["doc_id"] == "s:3"
    assert {hit["tenant"] for hit in told["hits"]} == {"acme"}
    live = world.pointer().live_generation()
    assert (told["generation"], told["model_version"]) == (live.generation, "old.v1")
    assert (told["backend"], told["snapshot"]) == ("milvus", str(live.snapshot))
    assert told["degraded"] is False and told["age_seconds"] >= 0 and len(told["id"]) == 32
    only = client.post("/v1/search", json=ASKED | {"include": ["title"]}).json()["hits"][0]
    assert set(only) == {"id", "score", "tenant", "doc_id", "title"}


def test_several_questions_are_answered_in_their_order(client: httpx.Client) -> None:
    queries = [{"text": f"text of s:{n}", "k": 1} for n in range(5)] + [{"like": "s:1", "k": 2}]
    told = client.post("/v1/search/batch", json={"tenants": ["acme"], "queries": queries}).json()
    first = [answer["hits"][0]["doc_id"] for answer in told["answers"]]
    assert first[:5] == [f"s:{n}" for n in range(5)]
    assert "s:1" not in {hit["doc_id"] for hit in told["answers"][5]["hits"]}


def test_documents_and_contexts_are_of_the_tenant(client: httpx.Client) -> None:
    told = client.get("/v1/documents/s:3", params={"tenants": "acme"}).json()
    assert (told["id"], told["uri"], told["chunks"][0]["id"]) == ("s:3", "file:///rows/3", "s:3#0")
    assert told["indexes"][0]["chunks"] == 1
    refused = client.get("/v1/documents/s:theirs", params={"tenants": "acme"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
    context = client.post("/v1/context", json={"tenants": ["acme"], "text": "x", "k": 3}).json()
    assert context["citations"][0]["number"] == 1 and "[1]" in context["text"]


def test_health_and_readiness_say_what_is_live(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    told = client.get("/ready").json()
    assert told["status"] == "ready" and told["live"]["milvus"]["model_version"] == "old.v1"


def test_the_openapi_shows_every_endpoint_and_its_errors(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    paths = set(described["paths"])
    assert {"/v1/search", "/v1/search/batch", "/v1/documents/{doc_id}", "/v1/context"} <= paths
    assert {"/health", "/ready", "/v1/vector_stores/{store}/search"} <= paths
    search = described["paths"]["/v1/search"]["post"]
    assert search["responses"]["400"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "ErrorBody"
    )


def deep() -> bytes:
    levels = 1000
    inner = b'{"type":"exists","key":"severity"}'
    nested = b'{"type":"not","filter":' * levels + inner + b"}" * levels
    return b'{"tenants":["acme"],"text":"x","filter":' + nested + b"}"


def asked(**fields: Any) -> bytes:
    return json.dumps(ASKED | fields).encode()


def without(field: str) -> bytes:
    return json.dumps({name: value for name, value in ASKED.items() if name != field}).encode()


BAD: dict[str, tuple[bytes, int, str, str | None]] = {
    "no tenants": (without("tenants"), 400, "missing_field", "tenants"),
    "tenants null": (asked(tenants=None), 400, "missing_field", "tenants"),
    "no tenant": (asked(tenants=[]), 400, "invalid_value", "tenants"),
    "a text as tenants": (asked(tenants="acme"), 400, "invalid_value", "tenants"),
    "a star": (asked(tenants=["*"]), 404, "unknown_tenant", "tenants"),
    "blank tenant": (asked(tenants=[" "]), 400, "invalid_value", "tenants"),
    "tenant number": (asked(tenants=[1]), 400, "invalid_value", "tenants[0]"),
    "101 tenants": (asked(tenants=["t"] * 101), 400, "invalid_value", "tenants"),
    "long tenant": (asked(tenants=["t" * 200]), 400, "invalid_value", "tenants"),
    "no text": (without("text"), 400, "invalid_value", "text"),
    "empty text": (asked(text=""), 400, "invalid_value", "text"),
    "huge text": (asked(text="x" * 20_000), 400, "invalid_value", "text"),
    "surrogate": (asked(text="\udcff"), 400, "invalid_value", "text"),
    "text and like": (asked(like="s:1"), 400, "invalid_value", "like"),
    "like nobody": (
        json.dumps({"tenants": ["acme"], "like": "s:theirs"}).encode(), 404, "not_found", "like",
    ),
    "k zero": (asked(k=0), 400, "invalid_value", "k"),
    "k large": (asked(k=1001), 400, "invalid_value", "k"),
    "k true": (asked(k=True), 400, "invalid_value", "k"),
    "k text": (asked(k="3"), 400, "invalid_value", "k"),
    "k huge": (asked(k=10**400), 400, "invalid_value", "k"),
    "unknown field": (asked(tenant="acme"), 400, "unknown_field", "tenant"),
    "all tenants": (asked(all_tenants=True), 400, "unknown_field", "all_tenants"),
    "include": (asked(include=["vector"]), 400, "invalid_value", "include[0]"),
    "backend": (asked(backend="nobody"), 400, "invalid_value", "backend"),
    "filter list": (asked(filter=[]), 400, "invalid_value", "filter"),
    "filter type": (asked(filter={"type": "x"}), 400, "invalid_value", "filter.type"),
    "filter key": (
        asked(filter={"type": "eq", "key": "tenant\"] != \"", "value": 1}), 400, "invalid_value",
        "filter.key",
    ),
    "filter of depth 1,000": (deep(), 400, "invalid_value", "filter" + ".filter" * 8),
    "wrong dimension": (
        json.dumps({"tenants": ["acme"], "vector": [1, 0]}).encode(), 400, "invalid_value",
        "vector",
    ),
    "NaN": (
        b'{"tenants":["acme"],"vector":[1,0,0,NaN]}', 400, "invalid_value", "vector[3]",
    ),
    "infinity": (
        b'{"tenants":["acme"],"vector":[-Infinity,0,0,0]}', 400, "invalid_value", "vector[0]",
    ),
    "too large a number": (
        b'{"tenants":["acme"],"vector":[1e39,0,0,0]}', 400, "invalid_value", "vector[0]",
    ),
    "1e999": (b'{"tenants":["acme"],"vector":[0,1e999,0,0]}', 400, "invalid_value", "vector[1]"),
    "twice": (
        b'{"tenants":["acme"],"text":"x","tenants":["zeta"]}', 400, "duplicate_field", "tenants",
    ),
    "no JSON": (b"{", 400, "invalid_json", None),
    "no object": (b"[]", 400, "invalid_json", None),
    "nothing": (b"", 400, "missing_field", None),
    "no UTF-8": (b'{"text":"\xff"}', 400, "invalid_json", None),
    "brackets": (b"[" * 100_000, 400, "invalid_json", None),
    "half a character in like": (
        json.dumps({"tenants": ["acme"], "like": "\ud800"}).encode(), 400, "invalid_value", "like",
    ),
    "half a character in a name": (asked(**{"\ud800": 1}), 400, "invalid_json", None),
    "half a character in a name that is there twice": (
        b'{"tenants":["acme"],"text":"x","\\ud800":1,"\\ud800":2}', 400, "duplicate_field",
        "\\ud800",
    ),
    "half a character in a filter": (
        asked(filter={"type": "eq", "key": "severity", "value": "low", "\ud800": 1}), 400,
        "invalid_value", "filter.\\ud800",
    ),
    "filter with a number beyond all": (
        asked(filter={"type": "gt", "key": "severity", "value": 10**400}), 400, "invalid_value",
        "filter.value",
    ),
    "filter of a megabyte": (
        asked(filter={"type": "in", "key": "severity", "value": ["x" * 15_000] * 10}), 400,
        "invalid_value", "filter.value[6]",
    ),
    "two thousand fields": (
        asked(**{f"f{n}": n for n in range(2000)}), 400, "invalid_json", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_one_error_that_names_its_field(client: httpx.Client, name: str) -> None:
    body, status, code, param = BAD[name]
    answer = client.post("/v1/search", content=body, headers={"Content-Type": "application/json"})
    refusal_is(answer, status, code, param)


def refusal_is(answer: httpx.Response, status: int, code: str, param: str | None) -> None:
    told = answer.json()
    assert set(told) == {"error"}
    error = told["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
    assert error["type"] == ("invalid_request_error" if status < 500 else "server_error")
    assert 0 < len(error["message"]) <= 500
    assert not re.search(r"Traceback|File \"|pydantic|site-packages", answer.text)


def test_of_many_wrong_values_the_first_alone_is_looked_for() -> None:
    """A body may hold a million, and all others wait while they are counted."""
    for wrong in ({"vector": ["x"] * 2000}, {"include": ["x"] * 2000}):
        with pytest.raises(ValidationError) as found:
            SearchBody.model_validate(ASKED | wrong)
        assert len(found.value.errors()) == 1
    with pytest.raises(ValidationError) as found:
        BatchBody.model_validate({"queries": [{"vector": ["x"] * 2000}] * 100})
    assert len(found.value.errors()) == 1


def test_of_several_questions_the_wrong_one_is_named(client: httpx.Client) -> None:
    def ask(*queries: dict[str, Any]) -> httpx.Response:
        return client.post("/v1/search/batch", json={"tenants": ["acme"], "queries": queries})

    refusal_is(ask({"text": "x"}, {"text": ""}), 400, "invalid_value", "queries[1].text")
    refusal_is(ask({"text": "x", "k": 0}), 400, "invalid_value", "queries[0].k")
    refusal_is(ask({"text": "x", "tenants": ["b"]}), 400, "unknown_field", "queries[0].tenants")
    bad = {"type": "eq", "key": "severity", "value": None}
    refusal_is(ask({"text": "x", "filter": bad}), 400, "invalid_value", "queries[0].filter.value")
    refusal_is(ask(), 400, "invalid_value", "queries")
    refusal_is(ask(*[{"text": "x"}] * 101), 400, "invalid_value", "queries")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/search", 405, "method_not_allowed"),
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/documents/s:3", 400, "missing_field"),
        ("GET", "/v1/documents/s:3?tenants=acme&all=1", 400, "unknown_field"),
        ("GET", "/v1/documents/s:3?tenants=", 400, "invalid_value"),
        ("GET", "/docs", 404, "not_found"),
    ],
)
def test_what_is_not_there_is_told_in_the_same_envelope(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def raw(server: SearchServer, request: bytes) -> tuple[int, dict[str, Any]]:
    """The answer to bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        sock.sendall(request)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", 400, "duplicate_header"),
        ("Content-Type: text/plain\r\n", 400, "duplicate_header"),
        ("Host: other\r\n", 400, "duplicate_header"),
        (f"Content-Length: {MAX_BODY_BYTES + 1}\r\n", 413, "body_too_large"),
        ("Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n", 400, "upgrade"),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n", 400, "upgrade"),
    ],
)
def test_headers_that_two_readers_may_read_differently_are_refused(
    server: SearchServer, headers: str, status: int, code: str
) -> None:
    request = (
        f"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Content-Type: application/json\r\n{headers}\r\n"
    )
    found, told = raw(server, request.encode())
    assert (found, told["error"]["code"]) == (status, code)


def test_a_page_of_elsewhere_cannot_make_a_browser_ask(client: httpx.Client) -> None:
    refused = client.post("/v1/search", json=ASKED, headers={"Host": "evil.example:8300"})
    refusal_is(refused, 403, "wrong_host", "host")
    plain = {"Content-Type": "text/plain"}
    refused = client.post("/v1/search", content=json.dumps(ASKED), headers=plain)
    refusal_is(refused, 415, "wrong_content_type", "content-type")


def test_a_body_that_never_ends_is_cut_off_and_a_slow_one_too() -> None:
    import asyncio

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nothing reaches the application")

    def ask(guards: Guards, receive: Any) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
        asyncio.run(guards(scope, receive, send))
        return int(sent[0]["status"])

    async def endless() -> Any:
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    async def silent() -> Any:
        await asyncio.Event().wait()

    assert ask(Guards(app, max_body_bytes=1000), endless) == 413
    assert ask(Guards(app, body_seconds=0.01), silent) == 408


def test_a_backend_that_does_not_answer_is_a_503_without_its_address(
    client: httpx.Client, world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(*_: Any, **__: Any) -> Any:
        raise IndexUnavailable("milvus http://10.0.0.7:19530 refuses the key")

    monkeypatch.setattr(world.target(), "_search", dead)
    answer = client.post("/v1/search", json=ASKED)
    refusal_is(answer, 503, "backend_unavailable", None)
    assert "10.0.0.7" not in answer.text and answer.headers["retry-after"] == "1"

    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(world.target(), "_search", broken)
    answer = client.post("/v1/search", json=ASKED)
    refusal_is(answer, 500, "internal", None)
    assert "bug" not in answer.text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_a_service_that_knows_no_callers_listens_on_this_machine_only(host: str) -> None:
    with pytest.raises(NotLoopback, match="loopback only") as caught:
        SearchServer(None, host=host, port=0)  # type: ignore[arg-type]
    assert code_of(caught.value) is Exit.REFUSED


def test_a_port_that_is_taken_is_one_line(server: SearchServer) -> None:
    with pytest.raises(PortTaken, match="--port"):
        SearchServer(None, port=server.port)  # type: ignore[arg-type]


def test_before_anything_is_live_the_service_answers_that_it_is_not_ready(tmp_path: Path) -> None:
    world = Deployment(tmp_path)
    with (
        searcher_of(world.lake, world.target) as searcher,
        SearchServer(create_app(searcher), port=0) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        refusal_is(client.get("/ready"), 503, "nothing_live", None)
        refusal_is(client.post("/v1/search", json=ASKED), 503, "nothing_live", None)
        go_live(world)
        searcher.live.refresh()
        assert client.get("/ready").status_code == 200
        assert Scope.of("acme").holds(
            client.post("/v1/search", json=ASKED).json()["hits"][0]["tenant"]
        )
