"""One's own models: the examples of the page are sound, and what does not fit is told by name."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import constants

from vector_platform.lake.contract import hash_text
from vector_platform.models.backends.static import StaticEmbedder
from vector_platform.models.base import Embedder
from vector_platform.models.errors import ModelError
from vector_platform.models.registry import open_model
from vector_platform.orchestration.models.assets import embed
from vector_platform.preflight import look
from vector_platform.settings import Model, SettingsError
from vector_platform.wiring import Platform, load_settings, read_deployment
from vector_platform_tests.lake import building
from vector_platform_tests.models.endpoint.server import KEY, Reversed, changed, serving
from vector_platform_tests.own_models import settings_below

START = {"start_date": "2026-01-01"}
GIVEN = "Vectors that you bring yourself"


@pytest.fixture(scope="module")
def wordllama(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    spec = Model(package="wordllama", kind="static", max_tokens=512)
    return open_model("words", spec, cache_dir=tmp_path_factory.mktemp("models"))


def told(folder: Path, described: dict[str, Any], *, connect: bool = False) -> list[str]:
    """What a look at a deployment says."""
    (folder / "platform.yaml").write_text(yaml.safe_dump(START | described), encoding="utf-8")
    reading = read_deployment(folder / "platform.yaml", {})
    return [str(one) for one in look(reading, connect=connect).problems]


def test_the_example_of_given_vectors_is_sound(tmp_path: Path) -> None:
    row = {"id": "p1", "abstract": "A text.", "embedding": [1.0]}
    (tmp_path / "papers.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert told(tmp_path, settings_below(GIVEN)) == []


NOTES = {"sources": {"notes": {"kind": "frame", "fields": {"key": "id", "text": "t"}}}}


def embedded(folder: Path) -> list[Any]:
    """The vector of a text by the one model of a deployment, and the model's fingerprint."""
    platform = Platform.load(folder / "platform.yaml")
    (name,) = platform.settings.models
    model = platform.embedder(name)
    return [model.fingerprint.digest, model.encode_documents(["Bees fly."]).tolist()]


def test_the_examples_of_a_folder_and_a_hub_are_sound_and_one_model(
    tmp_path: Path, wordllama: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(wordllama, StaticEmbedder)
    of_folder = NOTES | settings_below("A sentence-transformers folder")
    (said,) = told(tmp_path, of_folder)
    assert said.startswith("models.tickets.v1: path 'models/tickets' is no folder")
    # Whether texts can be searched for is asked of given vectors alone, so an index whose model is
    # gone can still be measured.
    platform = Platform.load(tmp_path / "platform.yaml")
    assert platform.queries_problem("tickets.v1") is None
    assert platform.queries_problem("removed.v1") is None
    shutil.copytree(wordllama._folder.root, tmp_path / "models" / "tickets")
    assert told(tmp_path, of_folder) == []
    found = embedded(tmp_path)
    assert found[1] == wordllama.encode_documents(["Bees fly."]).tolist()
    # Of the hub, from its cache: tests ask no hub.
    of_hub = NOTES | settings_below("A model of a hub")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    (said,) = told(tmp_path, of_hub)
    assert "hub model 'acme/tickets' at revision '0f1e2d3c" in said and "HF_HUB_OFFLINE" in said
    revision = of_hub["models"]["tickets.v1"]["revision"]
    snapshot = tmp_path / "cache" / "models--acme--tickets" / "snapshots" / revision
    shutil.copytree(wordllama._folder.root, snapshot)
    assert told(tmp_path, of_hub) == []
    assert embedded(tmp_path) == found


def test_the_example_of_an_endpoint_is_sound_and_needs_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = {"sources": {"notes": {"kind": "files", "path": "notes"}}}
    described |= settings_below("An OpenAI-compatible endpoint")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("A note.", encoding="utf-8")
    monkeypatch.setenv("MODEL_KEY", "any")
    assert told(tmp_path, described) == []
    monkeypatch.delenv("MODEL_KEY")
    (said,) = told(tmp_path, described)
    assert said.startswith("models.remote.v1.endpoint.key: environment variable MODEL_KEY")


def test_the_example_of_an_endpoint_embeds_and_notices_another_model(
    tmp_path: Path, wordllama: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    fields = {"key": "id", "text": "t"}
    described: dict[str, Any] = {"sources": {"notes": {"kind": "frame", "fields": fields}}}
    described |= settings_below("An OpenAI-compatible endpoint")
    with serving(wordllama) as endpoint:
        described["models"]["remote.v1"]["endpoint"]["url"] = endpoint.url
        assert told(tmp_path, described, connect=True) == []
        platform = Platform.load(tmp_path / "platform.yaml")
        texts = [f"The lift is closed on day {n}." for n in range(3)]
        building.put(platform.lake, *(building.chunk(f"notes:{t}", t) for t in texts))
        done = embed(platform, "remote.v1", "first", lambda line: None)
        assert (done.report.texts, done.trusted) == (3, True)
        stored = platform.lake.vectors_of("remote.v1", [hash_text(text) for text in texts])
        made = dict(zip(map(hash_text, texts), wordllama.encode_documents(texts), strict=True))
        for row in stored.to_pylist():
            assert np.allclose(row["vector"], made[row["content_hash"]], atol=1e-6)
        endpoint.faults[:] = [changed(lambda answer: answer["data"].reverse())]
        with pytest.raises(ModelError, match="out of order"):
            embed(platform, "remote.v1", "second", lambda line: None)
        building.put(platform.lake, building.chunk("notes:new", "new"))
        endpoint.embedder = Reversed(wordllama)
        done = embed(platform, "remote.v1", "third", lambda line: None)
        assert (done.report.texts, done.trusted) == (0, False)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


Change = Callable[[dict[str, Any]], object]
MISFITS: dict[str, tuple[Change, str, str]] = {
    "a source without vectors": (
        lambda all: all["sources"].update(notes={"kind": "files", "path": "notes"}),
        "sources.notes.fields.vectors",
        "an index holds every document, and mine.v1 is given: name the column",
    ),
    "vectors of nobody": (
        lambda all: all["sources"]["papers"]["fields"]["vectors"].update({"mine.v2": "x"}),
        "sources.papers.fields.vectors.mine.v2",
        "model version 'mine.v2' is not in models; did you mean 'mine.v1'?",
    ),
    "vectors of a model that embeds": (
        lambda all: all["sources"]["papers"]["fields"]["vectors"].update({"words.v1": "x"}),
        "sources.papers.fields.vectors.words.v1",
        "has no `given`",
    ),
    "a query model of no name": (
        lambda all: all["models"]["mine.v1"]["given"].update(query_model="word.v1"),
        "models.mine.v1.given.query_model",
        "'word.v1' is not in models; did you mean 'words.v1'?",
    ),
    "a query model that is given": (
        lambda all: all["models"]["mine.v1"]["given"].update(query_model="mine.v1"),
        "models.mine.v1.given.query_model",
        "has given vectors itself",
    ),
    "a query model of another length": (
        lambda all: all["models"]["mine.v1"]["given"].update(dimensions=3),
        "models.mine.v1.given.query_model",
        "vectors of words.v1 have 256 numbers, and those of mine.v1 have 3",
    ),
    "weights beside it": (
        lambda all: all["models"]["mine.v1"].update(kind="static", max_tokens=64),
        "models.mine.v1",
        "leave out kind, max_tokens",
    ),
    "two places": (
        lambda all: all["models"]["mine.v1"].update(package="wordllama"),
        "models.mine.v1",
        "exactly one of package, path, hub",
    ),
    "a version made from it": (
        lambda all: all["models"].update({"made.v1": {"path": "x", "adapter_of": "mine.v1"}}),
        "models.made.v1",
        "made from 'mine.v1', whose vectors are given",
    ),
    "neither text nor vectors": (
        lambda all: all["sources"]["papers"]["fields"].update(text=None, vectors={}),
        "sources.papers.fields",
        "text is missing",
    ),
}


@pytest.mark.parametrize(("change", "place", "why"), MISFITS.values(), ids=list(MISFITS))
def test_what_does_not_fit_given_vectors_is_told_with_its_place(
    change: Change, place: str, why: str, tmp_path: Path
) -> None:
    described = copy.deepcopy(settings_below(GIVEN))
    change(described)
    (tmp_path / "papers.jsonl").write_text('{"id": "p1", "abstract": "A", "embedding": [1]}')
    found = [one for one in told(tmp_path, described) if one.startswith(f"{place}:")]
    assert found and any(why in one for one in found), told(tmp_path, described)


def test_a_retired_version_asks_for_no_column(tmp_path: Path) -> None:
    described = START | copy.deepcopy(settings_below(GIVEN))
    described["sources"]["notes"] = {"kind": "files", "path": "notes"}
    described["models"]["words.v1"]["retired"] = False
    file = tmp_path / "platform.yaml"
    file.write_text(yaml.safe_dump(described), encoding="utf-8")
    with pytest.raises(SettingsError):
        load_settings(file, {})
    described["models"]["mine.v1"]["retired"] = True
    file.write_text(yaml.safe_dump(described), encoding="utf-8")
    assert load_settings(file, {}).whole_sources == ["papers"]
