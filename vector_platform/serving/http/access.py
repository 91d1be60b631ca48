"""Who asks, and whose rows they may see: the one place where a request's scope is made.

Belongs here: from what a request shows of its caller to a `Scope`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fastapi import Request

from vector_platform.indexes.contract import Scope


class Access(Protocol):
    """Decides whose rows a request may see."""

    def scope_of(self, request: Request, tenants: Sequence[str]) -> Scope:
        """The scope of a request.

        Args:
            request: With what it shows of its caller.
            tenants: Whose rows it asks for. They narrow what its caller may see, never widen it.
        """
        ...


class NobodyIsKnown:
    """No caller is known, so each says whose rows it asks for, and is believed.

    That is for programs on this machine, which can read the lake as well: a service with it
    listens on loopback only. Nobody can ask for all tenants.
    """

    def scope_of(self, request: Request, tenants: Sequence[str]) -> Scope:
        """Rows of the tenants that are named."""
        return Scope.of(*tenants)
