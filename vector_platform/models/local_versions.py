"""The folders of model versions that the platform made itself.

Belongs here: writing one so that it is there whole or not at all, and retiring it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from vector_platform.models.derived.versions import CARD_FILE
from vector_platform.models.errors import ModelUnavailableError
from vector_platform.models.identity.artifacts import build_once
from vector_platform.models.identity.hashing import write_atomically
from vector_platform.settings import OWN_MODELS

SETTINGS_FILE = "model.yaml"


def keep_model(
    data_dir: Path,
    name: str,
    *,
    settings: Mapping[str, Any],
    fill: Callable[[Path], None],
) -> Path:
    """Write the folder of a new model version; one that is there already is left as it is.

    Args:
        data_dir: The data folder.
        name: The model version.
        settings: Its entry under `models`, without `path`, which is the folder.
        fill: Writes the card, and the weights or the matrix, into the folder.
    """

    def build(folder: Path) -> None:
        fill(folder)
        _write_settings(folder, settings)

    return build_once(data_dir / OWN_MODELS / name, build)


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write how a model version was made; without clock or place: equal inputs, equal bytes.

    Sensors read two of its fields (`remediation/suppression.py`): `made_by`, the job, and `of`, the
    model version whose place it is to take.
    """
    text = json.dumps(card, indent=2, sort_keys=True) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def retire_model(data_dir: Path, name: str) -> None:
    """Mark a model version of ours as retired: no longer embedded, indexed or evaluated.

    Raises:
        ModelUnavailableError: The platform did not make it; platform.yaml retires it.
    """
    folder = data_dir / OWN_MODELS / name
    if not (folder / SETTINGS_FILE).is_file():
        raise ModelUnavailableError(
            name, f"is not in {folder.parent}; set retired: true in platform.yaml"
        )
    entry = yaml.safe_load((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    _write_settings(folder, entry | {"retired": True})


def read_card(data_dir: Path, name: str) -> dict[str, Any]:
    """How a model version of ours was made; empty for one that is not."""
    file = data_dir / OWN_MODELS / name / CARD_FILE
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def trained_on(data_dir: Path, name: str) -> frozenset[str]:
    """Hashes of the queries that a model version was trained on, and what it was made from.

    Empty for models of others: what they have seen is not known here.
    """
    queries: set[str] = set()
    visited: set[str] = set()
    while name and name not in visited:
        visited.add(name)
        card = read_card(data_dir, name)
        queries.update(card.get("trained_queries", ()))
        name = card.get("of", "")
    return frozenset(queries)


def _write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(dict(settings), sort_keys=True)
    write_atomically(folder / SETTINGS_FILE, text.encode())
