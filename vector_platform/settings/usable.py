"""What is wrong with a file, and what of it can still be used.

Belongs here: every problem of the raw settings in words, and the settings without the values that
have one, so that a look at everything else tells the rest at once. Nothing runs on such settings.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from copy import deepcopy
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from vector_platform.problems import Problem, nearest
from vector_platform.settings.indexes import Indexes
from vector_platform.settings.platform import PARTIAL, Settings

# A file with more layers of problems than this is told as far as it was read.
_MOST_LAYERS = 20
# Which kind of source is meant, by the keys that only it has.
_TELLING = {"path": "files", "url": "sql", "query": "sql", "class": "python"}
_STAND_IN_DATE = "2000-01-01"


def usable(
    raw: Mapping[str, Any], model: type[Settings]
) -> tuple[Settings | None, tuple[Problem, ...], frozenset[tuple[str, ...]]]:
    """The settings without what is wrong, and all that is wrong.

    A source of an unknown kind is read as the kind that it seems to be, so that its other problems
    are told too.

    Returns:
        The settings, None when too little is left; the problems, none when all is well; and the
        places whose values were taken out or guessed.
    """
    left: dict[str, Any] = deepcopy(dict(raw))
    problems: dict[tuple[tuple[str, ...], str], Problem] = {}
    taken: set[tuple[str, ...]] = set()
    for _ in range(_MOST_LAYERS):
        try:
            settings = model.model_validate(left, context={PARTIAL: True})
        except ValidationError as error:
            found = [(item, *_walk(left, item)) for item in error.errors(include_url=False)]
            # Told in full before anything is taken out.
            for item, part, _ in found:
                if item["type"] != "missing" or part not in taken:
                    problem = Problem(part, _what(item, part, model, left))
                    problems.setdefault((part, problem.what), problem)
            for item, _, trail in found:
                taken |= _without(left, item, trail)
            continue
        if not any(part[0] in ("sources", "models") and len(part) <= 2 for part in taken):
            try:
                model.model_validate(left)
            except ValidationError:
                for part, what in settings.misfits():
                    problems.setdefault((part, what), Problem(part, what))
        return settings, tuple(problems.values()), frozenset(taken)
    return None, tuple(problems.values()), frozenset(taken)


Trail = list[tuple[Any, Any]]


def _walk(raw: dict[str, Any], item: Any) -> tuple[tuple[str, ...], Trail]:
    """The place of an error as people know it, and the values on the way to it."""
    here: Any = raw
    part: list[str] = []
    trail: Trail = []
    for name in item["loc"]:
        inside = isinstance(here, dict) and name in here
        if inside or (isinstance(here, list) and isinstance(name, int)):
            trail.append((here, name))
            here = here[name]
            part.append(str(name))
    if item["type"] == "missing":
        part.append(str(item["loc"][-1]))
    return tuple(part), trail


def _without(raw: dict[str, Any], item: Any, trail: Trail) -> set[tuple[str, ...]]:
    """Take what is wrong out of the raw settings; returns the places that were emptied."""
    names = tuple(str(name) for _, name in trail)
    if item["type"] in ("union_tag_invalid", "union_tag_not_found") and trail:
        holder, name = trail[-1]
        guessed = _kind_of(holder[name], item)
        if guessed is not None:
            holder[name]["kind"] = guessed
            return {(*names, "kind")}
    if item["type"] == "missing":
        if tuple(item["loc"]) == ("start_date",):
            raw["start_date"] = _STAND_IN_DATE
            return {("start_date",)}
        # What lacks something required is left out as a whole.
        trail = trail[:2] if names[:1] in (("sources",), ("models",)) else trail
        names = names[: len(trail)]
    while trail and isinstance(trail[-1][0], list):
        trail = trail[:-1]
    if not trail:
        return set()
    holder, name = trail[-1]
    is_backend = names[:1] == ("indexes",) and len(names) == 2 and name not in Indexes.model_fields
    if is_backend and item["type"] != "extra_forbidden":
        # Left out, it would be on with its defaults.
        holder[name] = None
    else:
        holder.pop(name, None)
    return {names}


def _kind_of(source: Any, item: Any) -> str | None:
    if not isinstance(source, dict):
        return None
    kinds = sorted(set(_TELLING.values()))
    said = str(source.get("kind", ""))
    near = [kind for kind in kinds if repr(kind) in nearest(said, kinds)]
    told = [kind for key, kind in _TELLING.items() if key in source]
    return next(iter([*told, *near]), None)


def _what(item: Any, part: tuple[str, ...], model: type[Settings], raw: dict[str, Any]) -> str:
    """What is wrong, in words."""
    kind, said = item["type"], str(item["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        known = _keys_at(model, part[:-1], raw)
        return f"there is no such setting{nearest(part[-1], known)}"
    if kind == "missing":
        return "is required"
    if kind in ("model_type", "model_attributes_type"):
        return "should be a section of settings"
    if kind == "union_tag_not_found":
        return "kind is required: files, sql or python"
    if kind == "union_tag_invalid":
        tag = item["ctx"]["tag"]
        tags = str(item["ctx"]["expected_tags"]).replace("'", "").split(", ")
        return f"kind {tag!r} is none of {', '.join(tags)}{nearest(tag, tags)}"
    if kind == "literal_error":
        return said + nearest(str(item["input"]), str(item["ctx"]["expected"]).split("'")[1::2])
    return said


def _keys_at(model: type[BaseModel], part: tuple[str, ...], raw: Any) -> list[str]:
    """The settings that a place of the file knows."""
    found: Any = model
    here: Any = raw
    for name in part:
        here = here.get(name) if isinstance(here, dict) else None
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = next((f for n, f in found.model_fields.items() if name in (n, f.alias)), None)
            found = _section(field.annotation if field else None, here)
        else:
            found = _section(next(iter(get_args(found)[1:]), None), here)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        return []
    return [field.alias or name for name, field in found.model_fields.items()]


def _section(annotation: Any, value: Any) -> Any:
    """The model or mapping that an annotation stands for, given the raw value."""
    if get_origin(annotation) is Annotated:
        return _section(get_args(annotation)[0], value)
    if get_origin(annotation) in (Union, types.UnionType):
        choices = [one for one in map(_plain, get_args(annotation)) if one is not type(None)]
        kind = value.get("kind") if isinstance(value, dict) else None
        matching = [one for one in choices if kind in _kinds(one)]
        return next(iter([*matching, *choices]), None)
    return annotation


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _kinds(section: Any) -> tuple[str, ...]:
    kind = getattr(section, "model_fields", {}).get("kind")
    if kind is None or get_origin(kind.annotation) is not Literal:
        return ()
    return get_args(kind.annotation)
