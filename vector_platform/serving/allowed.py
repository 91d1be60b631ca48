"""What a known caller may do: the one function that decides.

Belongs here: principals, and `may`. Does not belong here: how a caller is known (`keys.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from vector_platform.serving.keys import Action, ApiKey


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        id: Names them, in logs.
        tenants: Whose rows they may see.
        actions: What they may do.
    """

    id: str
    tenants: frozenset[str]
    actions: frozenset[Action]


@dataclass(frozen=True)
class Rows:
    """The rows of one tenant: what is asked for."""

    tenant: str


def may(principal: Principal, action: Action, resource: Rows) -> bool:
    """Whether somebody may do something with the rows of a tenant."""
    return action in principal.actions and resource.tenant in principal.tenants


def principal_of(key: ApiKey) -> Principal:
    """Who asks with a key."""
    return Principal(f"key {key.id}", frozenset(key.tenants), frozenset(key.actions))
