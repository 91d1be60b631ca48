"""The attributes of a Dagster component as settings.

Belongs here: how the YAML of `VectorIndex` (`orchestration/components.py`) becomes what stands in a
`platform.yaml`. The command line reads the same file: `--config .../defs.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vector_platform.settings.base import SettingsError

# What a component's file says of itself, as Dagster has it.
_TYPE, _ATTRIBUTES = "type", "attributes"


def component_settings(attributes: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """What a `platform.yaml` of the same deployment would hold.

    Args:
        attributes: `sources`, `model_version` (a model with its `name`), `settings` (any other
            section), and other keys of the top level.
        name: The component's folder; the prefix of all names unless `key_prefix` is there.

    Raises:
        SettingsError: Nothing says which model version is meant, or a section is there twice.
    """
    told = {key: value for key, value in attributes.items() if value is not None}
    model, more = told.pop("model_version", None), told.pop("settings", {})
    if not isinstance(model, Mapping) or "name" not in model:
        raise SettingsError(name, ["model_version: a name, and where its weights are, are needed"])
    if not isinstance(more, Mapping):
        raise SettingsError(name, ["settings: sections of a platform.yaml are needed"])
    models = {model["name"]: {key: value for key, value in model.items() if key != "name"}}
    told["models"] = models | dict(more.get("models") or {})
    if twice := sorted(told.keys() & more.keys() - {"models"}):
        raise SettingsError(name, [f"settings: {', '.join(twice)} stand beside it already"])
    return {"key_prefix": name} | dict(more) | told


def is_component(raw: Mapping[str, Any]) -> bool:
    """Whether a file is that of a component, and no `platform.yaml`."""
    return raw.keys() <= {_TYPE, _ATTRIBUTES, "requirements"} and isinstance(
        raw.get(_ATTRIBUTES), Mapping
    )
