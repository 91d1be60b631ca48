"""A model behind an endpoint: its vectors, its faults, what it costs, and that no key is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.errors import VectorPlatformError
from vector_platform.lake.contract import hash_text
from vector_platform.models.base import Embedder
from vector_platform.models.canaries.answers import choose_texts, deviation, learn
from vector_platform.models.embed import embed_missing
from vector_platform.models.endpoint.client import EndpointClient
from vector_platform.models.endpoint.version import EndpointEmbedder
from vector_platform.models.errors import EndpointUnavailable, ModelError
from vector_platform.models.preflight import look_at_model
from vector_platform.models.registry import open_model
from vector_platform.settings import Model
from vector_platform_tests.models.endpoint.server import (
    KEY,
    Endpoint,
    Fault,
    Reply,
    Reversed,
    changed,
    cut_off,
    serving,
    status,
    torn,
)

TEXTS = ["The lift is closed.", "The bar is open.", "Bees fly.", "Copper is dear.", "Rain."]


@pytest.fixture(scope="module")
def running(wordllama: Embedder) -> Iterator[Endpoint]:
    with serving(wordllama) as found:
        yield found


@pytest.fixture
def endpoint(running: Endpoint, wordllama: Embedder, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    monkeypatch.setenv("MODEL_KEY", KEY)
    running.faults.clear()
    running.asked.clear()
    running.embedder = wordllama
    return running


def spec(endpoint: Endpoint, **changes: Any) -> Model:
    section = {
        "url": endpoint.url,
        "model": "words",
        "dimensions": 256,
        "key": "MODEL_KEY",
        "batch_texts": 2,
        **changes,
    }
    return Model.model_validate({"endpoint": section})


def client(endpoint: Endpoint, waits: list[float], **changes: Any) -> EndpointClient:
    section = spec(endpoint, **changes).endpoint
    assert section is not None
    return EndpointClient("remote.v1", section, sleep=waits.append)


def opened(endpoint: Endpoint, waits: list[float], **changes: Any) -> EndpointEmbedder:
    found = open_model("remote.v1", spec(endpoint, **changes), cache_dir=Path())
    assert isinstance(found, EndpointEmbedder)
    found._client = client(endpoint, waits, **changes)
    return found


def test_its_vectors_are_those_of_the_model_in_batches(
    endpoint: Endpoint, wordllama: Embedder
) -> None:
    remote = opened(endpoint, [])
    found = remote.embed_documents(TEXTS)
    assert np.allclose(found.vectors, wordllama.encode_documents(TEXTS), atol=1e-6)
    assert [len(one["input"]) for one in endpoint.asked] == [2, 2, 1]
    assert (found.tokens, found.truncated) == (35, 0)
    assert endpoint.asked[0] == {
        "model": "words",
        "input": TEXTS[:2],
        "encoding_format": "float",
    }
    opened(endpoint, [], send_dimensions=True).encode_queries(["bees"])
    assert endpoint.asked[-1]["dimensions"] == 256


def test_prompts_are_sent_and_long_texts_are_cut_and_counted(endpoint: Endpoint) -> None:
    described = spec(endpoint, max_characters=64).model_copy(
        update={"document_prompt": "passage: ", "query_prompt": "query: "}
    )
    remote = open_model("remote.v1", described, cache_dir=Path())
    found = remote.embed_documents(["x" * 100, "short"])
    assert endpoint.asked[-1]["input"] == [("passage: " + "x" * 100)[:64], "passage: short"]
    assert found.truncated == 1
    remote.encode_queries(["bees"])
    assert endpoint.asked[-1]["input"] == ["query: bees"]


def soon(answer: dict[str, Any]) -> Reply:
    until = datetime.now(UTC) + timedelta(seconds=60)
    return 503, {"retry-after": format_datetime(until, usegmt=True)}, b"starting"


PASSING: dict[str, tuple[Fault, float]] = {
    "too many requests": (status(429), 0.5),
    "and it says when": (status(429, retry_after="7"), 7.0),
    "and it says until when": (soon, 30.0),
    "and it says nonsense": (status(503, retry_after="soon"), 0.5),
    "an error of the server": (status(500), 0.5),
    "a torn connection": (torn, 0.5),
    "a body that is cut off": (cut_off, 0.5),
}


@pytest.mark.parametrize(("fault", "least"), PASSING.values(), ids=list(PASSING))
def test_what_may_pass_is_tried_again_and_waited_for_as_long_as_is_asked(
    fault: Fault, least: float, endpoint: Endpoint
) -> None:
    waits: list[float] = []
    endpoint.faults[:] = [fault]
    answer = client(endpoint, waits).ask(TEXTS[:2])
    assert answer.vectors.shape == (2, 256)
    assert len(endpoint.asked) == 2
    assert len(waits) == 1 and least <= waits[0] <= max(least, 60)


def test_what_does_not_pass_is_an_outage_after_so_many_attempts(endpoint: Endpoint) -> None:
    waits: list[float] = []
    endpoint.faults[:] = [status(500, "busy")] * 3
    with pytest.raises(EndpointUnavailable, match=r"asked 3 time\(s\): .*status 500.*busy"):
        client(endpoint, waits, attempts=3).ask(TEXTS[:1])
    assert waits == [0.5, 1.0]
    endpoint.faults[:] = [status(429, retry_after="3600")]
    with pytest.raises(EndpointUnavailable, match=r"asked 1 time\(s\).* to wait 3600 s"):
        client(endpoint, waits).ask(TEXTS[:1])


def of_first(answer: dict[str, Any], value: Any) -> None:
    answer["data"][0]["embedding"] = value


def swap(answer: dict[str, Any]) -> None:
    answer["data"].reverse()


REFUSED: dict[str, tuple[Fault, str]] = {
    "another dimension": (changed(lambda a: of_first(a, [1.0])), "text 0 has 1 numbers, and rem"),
    "NaN": (changed(lambda a: of_first(a, [float("nan")] * 256)), "no finite number at place 0"),
    "infinity": (changed(lambda a: of_first(a, [float("inf")] * 256)), "no finite number"),
    "zero": (changed(lambda a: of_first(a, [0.0] * 256)), "is zero, which has no direction"),
    "null": (changed(lambda a: of_first(a, None)), "text 0 is null"),
    "base64": (changed(lambda a: of_first(a, "AACAPw==")), "is text, not a list"),
    "another order": (changed(swap), "out of order: at place 0 it has index 1"),
    "no index": (changed(lambda a: a["data"][0].pop("index")), "place 0 it has index None"),
    "one vector too few": (changed(lambda a: a["data"].pop()), "1 vectors for 2 texts"),
    "no data": (changed(lambda a: a.pop("data")), "has no list `data`"),
    "more than was asked for": (lambda a: (200, {}, b" " * 200_000), "is longer than"),
    "a request that is refused": (status(400, "too\nlong"), "refuses .* status 400: .*too"),
    "a model that is not there": (status(404, "no model"), "model's name right"),
    "a redirect": (status(307, location="http://127.0.0.1:9/"), "status 307"),
}


@pytest.mark.parametrize(("fault", "says"), REFUSED.values(), ids=list(REFUSED))
def test_an_answer_that_is_not_what_was_asked_for_is_refused_by_name_and_not_asked_again(
    fault: Fault, says: str, endpoint: Endpoint
) -> None:
    endpoint.faults[:] = [fault]
    with pytest.raises(ModelError, match=f"model remote.v1: endpoint http.*{says}"):
        client(endpoint, []).ask(TEXTS[:2])
    assert len(endpoint.asked) == 1


def test_the_key_is_told_to_nobody(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    wrong = KEY[::-1]
    for key, why in (
        (wrong, "set the environment variable MODEL_KEY to a key that it accepts"),
        ("", "MODEL_KEY .* is not set"),
        ("sk-1\r\nx: y", "holds what is no key"),
    ):
        monkeypatch.setenv("MODEL_KEY", key)
        with pytest.raises(ModelError, match=why) as found:
            client(endpoint, []).ask(TEXTS[:1])
        said.append(str(found.value))
    monkeypatch.setenv("MODEL_KEY", KEY)
    endpoint.faults[:] = [status(400, f"no text for {KEY}")]
    with pytest.raises(ModelError, match=r"no text for \*\*\*") as found:
        client(endpoint, []).ask(TEXTS[:1])
    remote = opened(endpoint, [])
    remote.encode_queries(["bees"])
    details = str(remote.fingerprint.details)
    for text in (*said, str(found.value), caplog.text, details, repr(spec(endpoint))):
        assert KEY not in text and wrong not in text and "sk-1" not in text
    with pytest.raises(ValueError, match="should match pattern") as pasted:
        spec(endpoint, key=KEY)
    assert "endpoint.key" in str(pasted.value)


@pytest.mark.parametrize("fault", [status(500), status(400)], ids=["an outage", "a refusal"])
def test_what_was_answered_before_a_failure_is_committed(fault: Fault, endpoint: Endpoint) -> None:
    remote = opened(endpoint, [], attempts=1)
    contents = pa.RecordBatch.from_pydict(
        {"content_hash": [hash_text(text) for text in TEXTS], "text": TEXTS}
    )
    tables: list[pa.Table] = []
    endpoint.faults[:] = [None, None, fault]
    with pytest.raises(VectorPlatformError, match=r"remote\.v1: endpoint"):
        embed_missing(remote, [contents], run_id="r", commit=tables.append)
    stored = pa.concat_tables(tables).column("content_hash").to_pylist()
    assert stored == [hash_text(text) for text in TEXTS[:4]]


def test_canaries_see_another_model_behind_the_name_and_no_other_server(
    endpoint: Endpoint, wordllama: Embedder
) -> None:
    remote = opened(endpoint, [], batch_texts=64)
    known = learn(remote, choose_texts([], max_tokens=remote.max_tokens))
    assert not deviation(remote, known).differing
    assert known.runtime == "endpoint"

    endpoint.embedder = Reversed(wordllama)
    assert deviation(remote, known).differing


def test_the_fingerprint_is_what_was_declared_and_not_where_it_is_or_how_it_is_asked(
    endpoint: Endpoint,
) -> None:
    def digest(revision: str | None = None, **changes: Any) -> str:
        described = spec(endpoint, **changes).model_copy(update={"revision": revision})
        return open_model("remote.v1", described, cache_dir=Path()).fingerprint.digest

    same = digest()
    for changes in ({"url": "https://elsewhere/v1"}, {"key": None}, {"batch_texts": 9}):
        assert digest(**changes) == same
    others = {
        digest("2"),
        digest(model="other"),
        digest(dimensions=128),
        digest(send_dimensions=True),
        digest(max_characters=100),
    }
    assert len(others | {same}) == 6


def test_a_look_before_a_run_finds_what_would_fail(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*, connect: bool = True, **changes: Any) -> str:
        models = {"remote.v1": spec(endpoint, **changes)}
        _, problems = look_at_model(
            "remote.v1", models, cache_dir=Path(), root=Path(), connect=connect
        )
        return "; ".join(map(str, problems))

    assert told() == ""
    assert "models.remote.v1.endpoint: " in told(dimensions=3)
    assert "has 256 numbers, and remote.v1 has 3" in told(dimensions=3)
    assert "is the url complete" in told(url=endpoint.url.removesuffix("/v1"))
    assert "gave no answer" in told(url="http://127.0.0.1:1/v1")
    assert told(url="http://127.0.0.1:1/v1", connect=False) == ""
    monkeypatch.delenv("MODEL_KEY")
    said = told(connect=False)
    assert said == "models.remote.v1.endpoint.key: environment variable MODEL_KEY is not set"
