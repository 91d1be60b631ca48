"""Keys: what they are good for, for how long, and what is left of them on disk."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.serving.allowed import Principal, Rows, may
from vector_platform.serving.http.access import KnownCallers
from vector_platform.serving.http.app import create_app
from vector_platform.serving.http.server import SearchServer
from vector_platform.serving.keys import BadKey, Keys
from vector_platform_tests.indexes.test_scope import ALIKE
from vector_platform_tests.releases.deployment import Deployment
from vector_platform_tests.serving.worlds import go_live, searcher_of, with_documents

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> Keys:
    return Keys(tmp_path / "serving" / "keys.json", clock=clock)


def test_a_key_is_told_once_and_kept_as_a_hash(keys: Keys, tmp_path: Path) -> None:
    assert not keys.exist()
    made, text = keys.create("search of the shop", tenants=["acme"])
    assert keys.exist() and keys.of(text) == made
    file = tmp_path / "serving" / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = text.split("_", 2)[2]
    assert len(secret) == 43 and secret not in file.read_text() and text not in file.read_text()
    assert "hash" not in made.facts(START)
    _, another = keys.create("search of the shop", tenants=["acme"])
    assert another != text


def test_nothing_but_the_whole_key_is_the_key(keys: Keys) -> None:
    made, text = keys.create("x", tenants=["acme"])
    for wrong in ("", "vp_", f"vp_{made.id}", f"vp_{made.id}_", text[:-1], text + "A", text.upper(),
                  text.replace("vp_", "vq_"), f"vp_000000000000_{text.split('_', 2)[2]}",
                  made.hash, "\udcff", "vp_\udcff_x"):  # fmt: skip
        assert keys.of(wrong) is None


def test_a_key_ends_when_it_is_revoked_or_its_time_is_over(keys: Keys, clock: Clock) -> None:
    short, brief = keys.create("a", tenants=["acme"], days=1)
    lasting, long = keys.create("b", tenants=["acme"])
    clock.now += timedelta(hours=23, minutes=59)
    assert keys.of(brief) == short
    clock.now += timedelta(minutes=1)
    assert keys.of(brief) is None and keys.of(long) == lasting
    gone = keys.revoke(lasting.id)
    assert keys.of(long) is None
    assert keys.revoke(lasting.id) == gone
    states = {key.name: key.state(clock.now) for key in keys.all()}
    assert states == {"a": "expired", "b": "revoked"}
    for dead in (short.id, lasting.id, "nobody"):
        with pytest.raises(BadKey, match="keys list"):
            keys.rotate(dead)
    assert keys.exist()


def test_both_keys_are_good_while_one_takes_the_others_place(keys: Keys, clock: Clock) -> None:
    old, before = keys.create("a", tenants=["acme", "zeta"], actions=("search",), days=30)
    new, after = keys.rotate(old.id, overlap_hours=2)
    assert (new.tenants, new.actions, new.expires_at) == (old.tenants, old.actions, old.expires_at)
    clock.now += timedelta(hours=1, minutes=59)
    assert keys.of(before) is not None and keys.of(after) == new
    clock.now += timedelta(minutes=1)
    assert keys.of(before) is None and keys.of(after) == new


@pytest.mark.parametrize(
    ("name", "tenants", "days"),
    [("", ["acme"], None), ("a", [], None), ("a", [" "], None), ("a", ["a\n"], 1), ("a", ["b"], 0)],
)
def test_a_key_for_nothing_is_not_made(
    keys: Keys, name: str, tenants: list[str], days: float | None
) -> None:
    with pytest.raises(BadKey):
        keys.create(name, tenants=tenants, days=days)
    assert not keys.exist()


def test_keys_that_are_made_at_once_are_all_kept(keys: Keys, tmp_path: Path) -> None:
    def make(number: int) -> str:
        return Keys(tmp_path / "serving" / "keys.json").create(f"{number}", tenants=["acme"])[1]

    with ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(make, range(16)))
    assert len(keys.all()) == 16 and all(map(keys.of, texts))


def test_a_file_that_holds_no_keys_lets_nobody_in(keys: Keys, tmp_path: Path) -> None:
    _, text = keys.create("a", tenants=["acme"])
    (tmp_path / "serving" / "keys.json").write_text("[{}]")
    with pytest.raises(BadKey, match="restore it"):
        keys.of(text)


NAMES = st.sampled_from(ALIKE)


@given(st.frozensets(NAMES), st.frozensets(st.sampled_from(["search", "read"])), NAMES)
def test_a_caller_may_do_what_the_key_says_and_nothing_else(
    tenants: frozenset[str], actions: frozenset[str], asked: str
) -> None:
    caller = Principal("x", tenants, actions)  # type: ignore[arg-type]
    for action in ("search", "read"):
        assert may(caller, action, Rows(asked)) is (asked in tenants and action in actions)


# -- over HTTP ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys") / "keys.json")


@pytest.fixture(scope="module")
def server(held: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    world = Deployment(tmp_path_factory.mktemp("served"))
    with_documents(world)
    go_live(world)
    with (
        searcher_of(world.lake, world.target) as searcher,
        SearchServer(create_app(searcher, KnownCallers(held)), port=0) as server,
    ):
        yield server


def asking(server: SearchServer, text: str) -> httpx.Client:
    return httpx.Client(
        base_url=server.url, headers={"Authorization": f"Bearer {text}"}, timeout=30
    )


def refused(answer: httpx.Response, status: int, code: str) -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    return str(error["message"])


def test_a_caller_sees_rows_of_the_keys_tenants_and_cannot_widen_that(
    held: Keys, server: SearchServer
) -> None:
    made, text = held.create("acme's shop", tenants=["acme"])
    with asking(server, text) as client:
        for tenants in (None, ["acme"]):
            asked = {"text": "x", "k": 50, "tenants": tenants}
            told = client.post("/v1/search", json=asked).json()
            assert {hit["tenant"] for hit in told["hits"]} == {"acme"}
        # One answer, whether there is such a tenant or not.
        messages = {
            refused(client.post(path, json={"text": "x", "tenants": named}), 403, "not_allowed")
            for named in (["zeta"], ["nobody"], ["acme", "zeta"], ["Acme"])
            for path in ("/v1/search", "/v1/context")
        }
        assert len(messages) == 1
        queries = {"queries": [{"text": "x"}], "tenants": ["zeta"]}
        refused(client.post("/v1/search/batch", json=queries), 403, "not_allowed")
        for path in ("documents/s:theirs", "vector_stores", "vector_stores/documents/files"):
            refused(client.get(f"/v1/{path}", params={"tenants": "zeta"}), 403, "not_allowed")
        refused(client.get("/v1/documents/s:theirs"), 404, "not_found")
        assert client.get("/v1/documents/s:1").status_code == 200
        held.revoke(made.id)
        refused(client.post("/v1/search", json={"text": "x"}), 401, "invalid_api_key")


def test_a_key_that_may_search_reads_no_documents(held: Keys, server: SearchServer) -> None:
    _, text = held.create("search only", tenants=["acme"], actions=("search",))
    with asking(server, text) as client:
        assert client.post("/v1/search", json={"text": "x"}).status_code == 200
        refused(client.get("/v1/documents/s:1"), 403, "not_allowed")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer vp_000000000000_" + "A" * 43},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"X-Api-Key": "vp_x"},
    ],
    ids=["none", "unknown", "empty", "basic", "elsewhere"],
)
def test_who_shows_no_good_key_is_asked_for_one_everywhere(
    server: SearchServer, headers: dict[str, str]
) -> None:
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
        asked = {"tenants": ["acme"], "text": "x"}
        bodies = {
            "/v1/search": asked,
            "/v1/context": asked,
            "/v1/search/batch": {"queries": [{"text": "x"}]},
            "/v1/vector_stores/documents/search": {"query": "x"},
        }
        for path, body in bodies.items():
            answer = client.post(path, json=body)
            refused(answer, 401, "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in (
            "/v1/documents/s:1", "/v1/vector_stores", "/v1/vector_stores/documents",
            "/v1/vector_stores/documents/files", "/v1/vector_stores/documents/files/s:1",
            "/v1/vector_stores/documents/files/s:1/content",
        ):  # fmt: skip
            refused(client.get(path, params={"tenants": "acme"}), 401, "invalid_api_key")


def test_a_client_of_openai_needs_its_key_and_nothing_else(
    held: Keys, server: SearchServer
) -> None:
    _, text = held.create("openai", tenants=["zeta"])
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=text, max_retries=0, timeout=30)
    found = client.vector_stores.search("documents", query="x")
    assert {one.file_id for one in found.data} == {"s:theirs"}
    assert [one.id for one in client.vector_stores.files.list("documents")] == ["s:theirs"]
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="none").vector_stores.list()
