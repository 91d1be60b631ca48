"""Asking for releases: one request over one backend or several, written in one commit.

Belongs here: what a request consists of, and that asking again finds what there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NotRequired, TypedDict, Unpack

from vector_platform.errors import TerminalError
from vector_platform.indexes.state import GenerationState
from vector_platform.releases.requests.policy import Override
from vector_platform.releases.requests.requests import ReleaseRequest
from vector_platform.releases.requests.store import RequestStore


class AlreadyLive(TerminalError):
    """The generation is what readers see already."""


class Asking(TypedDict):
    """Who asks, why, and what comes with it; as keywords of whatever takes a request.

    Attributes:
        actor: Who asks.
        reason: Why.
        automatic: Whether a sensor or a schedule asks, and not a person.
        overrides: What to set aside -> why, see `policy.Override`.
        evidence_ids: Evaluations that led to the request.
    """

    actor: str
    reason: str
    automatic: NotRequired[bool]
    overrides: NotRequired[Mapping[Override, str]]
    evidence_ids: NotRequired[tuple[str, ...]]


@dataclass(frozen=True)
class Asked:
    """One part of what is asked for.

    Attributes:
        store: Requests and decisions of the backend.
        state: Generation that is to be live.
        leaves: Generation that a rollback takes back; None for a release.
    """

    store: RequestStore
    state: GenerationState
    leaves: str | None = None


def ask_together(parts: Sequence[Asked], **by: Unpack[Asking]) -> list[ReleaseRequest]:
    """Ask for generations of several backends in one request, written in one commit.

    A part that is asked for again is the part there is; what is missing beside it joins it.

    Raises:
        AlreadyLive: One of them is live.
        MayNotDecide: The asker may not set that aside.
    """
    if not parts:
        return []
    actor, automatic, overrides = by["actor"], by.get("automatic", False), by.get("overrides", {})
    with ExitStack() as locked:
        for part in sorted(parts, key=lambda part: part.store.context.backend):
            for what in overrides:
                part.store.check_override(what, actor, actor)
            locked.enter_context(part.store.exclusively())
            live = part.store.context.pointer.live()
            if live is not None and live.generation == part.state.generation:
                where = f"{part.store.context.backend} {part.state.generation}"
                raise AlreadyLive(f"{where} is live already")
        known = [
            part.store.find(part.state, automatic=automatic, leaves=part.leaves) for part in parts
        ]
        whole = next((one.whole for one in known if one is not None), None)
        requests = parts[0].store.requests
        taken = {one.backend for one in requests.all() if one.whole == whole} if whole else set()
        asked: list[ReleaseRequest] = []
        for part, found in zip(parts, known, strict=True):
            joins = whole if part.store.context.backend not in taken else None
            request = found or part.store.draft(
                part.state,
                actor=actor,
                reason=by["reason"],
                automatic=automatic,
                whole=joins,
                leaves=part.leaves,
            )
            whole = whole or request.whole
            asked.append(request)
        requests.save_all([one for one, found in zip(asked, known, strict=True) if found is None])
        for part, request in zip(parts, asked, strict=True):
            part.store.register(
                request,
                actor=actor,
                overrides=overrides,
                evidence_ids=by.get("evidence_ids", ()),
            )
    return asked
