"""How `platform.yaml` and the environment become one validated value.

Belongs here: the file, the overrides, the model versions that the platform made itself, and every
problem in one error. What is wrong with a value is told in `usable.py`.

`VECTOR_PLATFORM_CONFIG` names the file; any other `VECTOR_PLATFORM_A__B__C=value` overrides the
key `a.b.c` (value parsed as YAML). Model versions that the platform made itself
(`{data}/model_versions/<name>/model.yaml`) are read as if they stood under `models`.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vector_platform.problems import Problem
from vector_platform.settings.base import SettingsError
from vector_platform.settings.component import component_settings, is_component
from vector_platform.settings.platform import OWN_MODELS, Settings
from vector_platform.settings.usable import usable

PREFIX = "VECTOR_PLATFORM_"
CONFIG_VARIABLE = "VECTOR_PLATFORM_CONFIG"


@dataclass(frozen=True)
class Reading:
    """A file as far as it can be used.

    Attributes:
        origin: Name of the file.
        settings: Without the values that have a problem; None when too little is left.
        problems: All of them; without any, the settings are those of the file.
        taken_out: Places of the file whose values the settings do not have, or have as a guess.
    """

    origin: str
    settings: Settings | None
    problems: tuple[Problem, ...] = ()
    taken_out: frozenset[tuple[str, ...]] = frozenset()

    def whole(self) -> Settings:
        """The settings of the file.

        Raises:
            SettingsError: Anything is wrong; all problems at once.
        """
        if self.problems or self.settings is None:
            raise SettingsError(self.origin, [str(problem) for problem in self.problems])
        return self.settings


def read_settings(
    model: type[Settings], path: Path | None = None, environ: Mapping[str, str] | None = None
) -> Reading:
    """Read `platform.yaml` and the environment.

    Args:
        model: `Settings` with the sections of the backends (`indexes/registry.py`).
        path: The file. Default: `VECTOR_PLATFORM_CONFIG`, else `platform.yaml` in the working
            directory.
        environ: The environment; `os.environ` when not given.

    Raises:
        SettingsError: The file is missing, or no YAML that could be read on.
    """
    environ = os.environ if environ is None else environ
    path = path or Path(environ.get(CONFIG_VARIABLE, "platform.yaml"))
    path = path.expanduser().resolve()
    if not path.is_file():
        raise SettingsError(str(path), ["no such file (VECTOR_PLATFORM_CONFIG names another one)"])
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(path.name, [f"not UTF-8 text: {error}"]) from error
    except OSError as error:
        raise SettingsError(str(path), [f"cannot be read: {error.strerror}"]) from error
    raw = _parse(text, path.name, model)
    if is_component(raw):
        raw = component_settings(raw["attributes"], name=path.parent.name)
    return reading_of(raw, model, root=path.parent, origin=path.name, environ=environ)


def reading_of(
    raw: Mapping[str, Any],
    model: type[Settings],
    *,
    root: Path,
    origin: str,
    environ: Mapping[str, str] | None = None,
) -> Reading:
    """Read what a `platform.yaml` would hold, and the environment.

    Args:
        raw: The sections.
        model: As in `read_settings`.
        root: Folder that relative paths start from.
        origin: What messages call it.
        environ: The environment; `os.environ` when not given.
    """
    merged = _override(dict(raw), os.environ if environ is None else environ)
    settings, problems, taken_out = usable(merged, model)
    if settings is None or problems:
        if settings is not None:
            settings._root = root
        return Reading(origin, settings, problems, taken_out)
    return Reading(origin, with_local_versions(settings, root=root))


def with_local_versions(settings: Settings, *, root: Path | None = None) -> Settings:
    """The same settings with the model versions that are in the data folder now.

    Args:
        settings: Read from `platform.yaml`, or a result of this function.
        root: Folder of the file; that of `settings` when not given.

    Raises:
        SettingsError: A model version of the data folder does not fit the file.
    """
    model = type(settings)
    root = settings.root if root is None else root
    folder = (root / settings.data.expanduser()).resolve() / OWN_MODELS
    plain = settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
    models = {name: spec for name, spec in plain["models"].items() if name not in settings._own}
    own: dict[str, Any] = {}
    for path in sorted(folder.glob("*/model.yaml")):
        if path.parent.name in models:
            raise SettingsError(
                str(path), [f"{path.parent.name} is in platform.yaml too; remove one of them"]
            )
        entry = _parse(path.read_text(encoding="utf-8"), str(path), model)
        # A version that only gave other weights a name says itself where they are.
        here = {} if entry.keys() & {"package", "hub"} else {"path": str(path.parent)}
        own[path.parent.name] = here | entry
    raw = plain | {"models": models | own}
    if problems := _problems(raw, model):
        raise SettingsError(str(folder) if own else "platform.yaml", problems)
    merged = model.model_validate(raw)
    merged._root = root
    merged._own = frozenset(own)
    return merged


def _parse(text: str, origin: str, model: type[Settings]) -> dict[str, Any]:
    loader = _UniqueKeyLoader(text)
    loader.duplicates = []
    try:
        raw = loader.get_single_data()
    except yaml.YAMLError as error:
        raise SettingsError(origin, [f"not readable as YAML: {error}"]) from error
    if loader.duplicates:
        raise SettingsError(
            origin, loader.duplicates + _problems(raw if isinstance(raw, dict) else {}, model)
        )
    if not isinstance(raw, dict):
        raise SettingsError(origin, ["the file must hold a mapping at the top level"])
    return raw


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML loader that collects duplicate keys instead of keeping the last one in silence."""

    duplicates: list[str]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, f"line {line}: a key must be a plain name", key_node.start_mark
                )
            if key in seen:
                self.duplicates.append(f"line {line}: the name {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _override(raw: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        path = [part.lower() for part in name.removeprefix(PREFIX).split("__")]
        here = raw
        for part in path[:-1]:
            child = here.get(part)
            here[part] = dict(child) if isinstance(child, dict) else {}
            here = here[part]
        try:
            here[path[-1]] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(name, [f"not readable as YAML: {error}"]) from error
    return raw


def _problems(raw: dict[str, Any], model: type[Settings]) -> list[str]:
    return [str(problem) for problem in usable(raw, model)[1]]
