"""The swap of story 2: nothing but the answers of the model shows it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vector_platform.demo.swapped_model import swap_weights
from vector_platform.models.base import Embedder
from vector_platform.models.canaries.answers import choose_texts, deviation, learn
from vector_platform.models.identity.origins import find_weights
from vector_platform.models.registry import open_model
from vector_platform.settings import Model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = Model(package="wordllama", kind="static")
    found = find_weights("words.v1", package, cache_dir=tmp_path / "cache", root=tmp_path)
    return Path(shutil.copytree(found, tmp_path / "model"))


def opened(folder: Path) -> Embedder:
    spec = Model(path=str(folder), kind="static", max_tokens=512)
    return open_model("words.v1", spec, cache_dir=folder.parent / "cache")


def test_the_fingerprint_misses_the_swap_and_the_canaries_do_not(folder: Path) -> None:
    model = opened(folder)
    known = learn(model, choose_texts([], max_tokens=512))
    swap_weights(folder / "model.safetensors")
    swapped = opened(folder)
    assert swapped.fingerprint.digest == model.fingerprint.digest
    assert len(deviation(swapped, known).differing) > len(known.texts) / 2


def test_the_swapped_file_has_the_size_and_the_date_of_the_old_one(folder: Path) -> None:
    path = folder / "model.safetensors"
    before, content = path.stat(), path.read_bytes()
    swap_weights(path)
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert path.read_bytes() != content
