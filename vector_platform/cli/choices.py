"""What an option may name: backends and models of this deployment.

Belongs here: turning an option's text into names that exist, or an error that lists them; and into
a filter on attributes that exist.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from vector_platform.cli.exits import WrongUsage
from vector_platform.settings import BackendName, Settings

if TYPE_CHECKING:
    from vector_platform.indexes.filtering.conditions import Condition


class BadChoice(WrongUsage):
    """An option names something that this deployment does not have."""


def chosen_backends(settings: Settings, text: str) -> list[BackendName]:
    """`all`: every configured backend; otherwise the one that is named."""
    known = list(settings.indexes.backends)
    if text == "all":
        return known
    if text not in known:
        raise BadChoice(f"--backend {text!r} is not one of {', '.join([*known, 'all'])}")
    return [name for name in known if name == text]


def chosen_filter(keys: Collection[str], text: str | None) -> Condition | None:
    """The condition that the JSON of a filter asks for; None where there is none."""
    from vector_platform.indexes.filtering.language import BadFilter, parse_filter

    try:
        return None if text is None else parse_filter(text, keys=keys)
    except BadFilter as error:
        raise BadChoice(f"--filter: {error}") from error


def chosen_models(settings: Settings, text: str | None) -> list[str]:
    """Every active model version, or the one that is named."""
    known = list(settings.active_models)
    if text is None:
        return known
    if text not in known:
        raise BadChoice(f"--model {text!r} is not one of {', '.join(known)}")
    return [text]
