"""Why a sensor starts nothing more for a while: what it led to waits, or was just rejected.

Belongs here: which faults a release request answers, and how long it keeps others from being asked
for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from vector_platform.lake.lake import Lake
from vector_platform.models.local_versions import read_card
from vector_platform.releases.requests.requests import ReleaseRequest, ReleaseRequests
from vector_platform.remediation.faults import Action, Scope
from vector_platform.settings import ActionPolicy, Settings

# Who makes the model version that an action proposes, by its card.
_MAKERS: Mapping[Action, str] = {"retrain": "retrain", "propose_version": "reembed"}


def suppressed(lake: Lake, settings: Settings, action: Action, now: datetime) -> dict[Scope, str]:
    """Where nothing more is to be started by an action, and why.

    Args:
        lake: Of the release requests.
        settings: Of the deployment.
        action: One that ends in a release request; no other is ever suppressed. A repair is not: it
            mends what readers see.
        now: The time, with its zone.
    """
    if action != "rebuild" and action not in _MAKERS:
        return {}
    rules: ActionPolicy = getattr(settings.acting, action)
    return suppressed_by(
        ((one, answered(settings, action, one)) for one in ReleaseRequests(lake).all()),
        cooldown=timedelta(hours=rules.cooldown_hours),
        now=now,
    )


def answered(settings: Settings, action: Action, request: ReleaseRequest) -> tuple[Scope, ...]:
    """The faults that a request answers as the end of an action, whoever has asked for it.

    A rebuild is asked for under the model version that it rebuilds. A proposal is of a new one,
    whose card says what it was made from. An adapter is retrained from the model that it adapts.
    """
    if action == "rebuild":
        return (Scope(request.model_version, request.backend),)
    card = read_card(settings.data_dir, request.model_version)
    if card.get("made_by") != _MAKERS[action]:
        return ()
    base, models = card.get("of", ""), settings.models
    return tuple(Scope(name) for name, one in models.items() if base in (name, one.adapter_of))


def suppressed_by(
    requests: Iterable[tuple[ReleaseRequest, Collection[Scope]]],
    *,
    cooldown: timedelta,
    now: datetime,
) -> dict[Scope, str]:
    """What requests suppress: what an open one answers, and what a just rejected one does.

    For each fault and backend the newest request counts, and an open one before any that has
    ended.

    Args:
        requests: With the faults that they answer, oldest first.
        cooldown: How long a rejection suppresses.
        now: The time, with its zone.
    """
    newest = {
        (scope, request.backend): request
        for request, scopes in sorted(requests, key=lambda pair: pair[0].open)
        for scope in scopes
    }
    reasons = {}
    for (scope, _), request in newest.items():
        if request.open:
            reasons[scope] = f"release request {request.request_id} waits: {request.waits_for}"
        elif request.state == "rejected" and now - request.updated_at < cooldown:
            reasons[scope] = (
                f"release request {request.request_id} was rejected less than {cooldown} ago"
            )
    return reasons
