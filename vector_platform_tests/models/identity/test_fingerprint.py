"""What changes a fingerprint and what does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vector_platform.models.identity.fingerprint import Fingerprint
from vector_platform.models.registry import open_model
from vector_platform.settings import Model
from vector_platform_tests.models.folders import write_static, write_transformer_layout


def opened(folder: Path, cache_dir: Path, **changes: object) -> Fingerprint:
    spec = Model.model_validate({"path": str(folder)} | changes)
    return open_model("m", spec, cache_dir=cache_dir).fingerprint


def changed(before: Fingerprint, after: Fingerprint) -> list[str]:
    """Fields of the details that differ."""
    return [name for name in before.details if before.details[name] != after.details[name]]


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("weights", lambda folder: flip_last_byte(folder / "model.safetensors")),
        ("tokenizer", lambda folder: (folder / "vocab.txt").write_text("north\n")),
        ("configuration", lambda folder: (folder / "config.json").write_text("{}")),
    ],
    ids=["weights", "tokenizer", "configuration"],
)
def test_any_byte_of_the_model_changes_the_digest(
    field: str, change: Callable[[Path], object], tmp_path: Path
) -> None:
    folder = write_transformer_layout(tmp_path / "model")
    before = opened(folder, tmp_path / "cache")
    change(folder)
    after = opened(folder, tmp_path / "cache")
    assert before.digest != after.digest
    assert changed(before, after) == [field]


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": 128},
        {"document_prompt": "passage: "},
        {"query_prompt": "query: "},
        {"backend": "torch-bf16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_how_a_model_is_run_changes_the_digest(change: dict[str, object], tmp_path: Path) -> None:
    folder = write_transformer_layout(tmp_path / "model")
    before = opened(folder, tmp_path / "cache")
    after = opened(folder, tmp_path / "cache", **change)
    assert before.digest != after.digest
    assert changed(before, after) == list(change)


def test_moving_the_folder_or_the_batch_size_or_touching_files_changes_nothing(
    tmp_path: Path,
) -> None:
    folder = write_transformer_layout(tmp_path / "model")
    before = opened(folder, tmp_path / "cache")
    moved = Path(shutil.move(folder, tmp_path / "elsewhere" / "renamed"))
    os.utime(moved / "model.safetensors")
    (moved / "README.md").write_text("a model")
    (moved / "config_sentence_transformers.json").write_text('{"__version__": {}}')
    after = opened(moved, tmp_path / "other-cache", batch_tokens=64, description="moved")
    assert before == after
    assert before.digest == after.digest


def test_a_digest_is_32_hex_digits_and_the_same_when_read_from_the_cache(tmp_path: Path) -> None:
    folder = write_static(tmp_path / "model")
    first = opened(folder, tmp_path / "cache", kind="static")
    assert list((tmp_path / "cache" / "hashes").iterdir())
    second = opened(folder, tmp_path / "cache", kind="static")
    assert first.digest == second.digest
    assert len(first.digest) == 32 and int(first.digest, 16) >= 0


def test_a_damaged_hash_cache_is_ignored(tmp_path: Path) -> None:
    folder = write_static(tmp_path / "model")
    first = opened(folder, tmp_path / "cache", kind="static")
    for entry in (tmp_path / "cache" / "hashes").iterdir():
        entry.write_text("[]" if entry.name < "8" else "{ not json")
    assert opened(folder, tmp_path / "cache", kind="static") == first
