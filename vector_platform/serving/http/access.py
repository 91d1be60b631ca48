"""Who asks, and whose rows they may see: the one place where a request's scope is made.

Belongs here: from what a request shows of its caller to a `Scope`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fastapi import Request

from vector_platform.indexes.contract import Scope
from vector_platform.serving.allowed import Principal, Rows, may, principal_of
from vector_platform.serving.http.errors import Refused
from vector_platform.serving.keys import Action, Keys


class Access(Protocol):
    """Decides whose rows a request may see."""

    def scope_of(self, request: Request, action: Action, tenants: Sequence[str] | None) -> Scope:
        """The scope of a request.

        Args:
            request: With what it shows of its caller.
            action: What it asks to do.
            tenants: Whose rows it asks for. They narrow what its caller may see, never widen it.

        Raises:
            Refused: Its caller is not known, or may not do that.
        """
        ...


class NobodyIsKnown:
    """No caller is known, so each says whose rows it asks for, and is believed.

    That is for programs on this machine, which can read the lake as well: a service with it
    listens on loopback only. Nobody can ask for all tenants.
    """

    def scope_of(self, request: Request, action: Action, tenants: Sequence[str] | None) -> Scope:
        """Rows of the tenants that are named."""
        if tenants is None:
            raise Refused(400, "tenants is required", code="missing_field", param="tenants")
        return Scope.of(*tenants)


class KnownCallers:
    """A caller is known by a key, and sees rows of the key's tenants.

    Args:
        keys: Those there are.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def scope_of(self, request: Request, action: Action, tenants: Sequence[str] | None) -> Scope:
        """Rows of the tenants that are named, or else of all the key's."""
        caller = self._caller(request)
        asked = sorted(caller.tenants) if tenants is None else tenants
        for place, tenant in enumerate(asked):
            # One answer, whether or not there is such a tenant.
            if not may(caller, action, Rows(tenant)):
                param = "authorization" if tenants is None else f"tenants[{place}]"
                message = f"the key may not {action} rows of this tenant"
                raise Refused(403, message, code="not_allowed", param=param)
        return Scope.of(*asked)

    def _caller(self, request: Request) -> Principal:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        key = self._keys.of(text.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            raise Refused(
                401,
                "send a key that is good: Authorization: Bearer vp_...",
                code="invalid_api_key",
                param="authorization",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return principal_of(key)
