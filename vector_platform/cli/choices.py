"""What an option may name: backends and models of this deployment.

Belongs here: turning an option's text into names that exist, or an error that lists them.
"""

from __future__ import annotations

from vector_platform.cli.exits import WrongUsage
from vector_platform.settings import BackendName, Settings


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


def chosen_models(settings: Settings, text: str | None) -> list[str]:
    """Every active model version, or the one that is named."""
    known = list(settings.active_models)
    if text is None:
        return known
    if text not in known:
        raise BadChoice(f"--model {text!r} is not one of {', '.join(known)}")
    return [text]
