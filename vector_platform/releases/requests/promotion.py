"""Promotion: choosing a model version by its evaluations, and asking for its release.

Belongs here: the choice, and bringing the chosen generation up to date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vector_platform.errors import TerminalError
from vector_platform.indexes.contract import Mirrored, with_lacking
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.evaluations import Evaluation, judged_alike, newest_evaluations
from vector_platform.quality.retrieval.comparison import compare_scores
from vector_platform.releases.requests.asking import Asked, ask_together
from vector_platform.releases.requests.policy import Override
from vector_platform.releases.requests.reconciliation import Reconciled
from vector_platform.releases.requests.service import ReleaseService, reconcile_together


class NothingToPromote(TerminalError):
    """No model version can be chosen: none is evaluated, or the named one has no generation."""


@dataclass(frozen=True)
class Outcome:
    """What a promotion did.

    Attributes:
        backend: Whose pointer.
        model_version: Model that is live afterwards, or whose release waits.
        generation: Its generation.
        moved: Whether the pointer moved.
        why: What decided it.
        request_id: The release request, when there was one.
        waits: Whether the request is still open.
        refused: Whether a gate is shut, so that nobody's approval would release it.
        mirrored: How far the backend's aliases follow; None when nobody looked.
    """

    backend: str
    model_version: str
    generation: str
    moved: bool
    why: str
    request_id: str = ""
    waits: bool = False
    refused: bool = False
    mirrored: Mirrored | None = None

    def describe(self) -> str:
        """One line for people."""
        if self.request_id and not self.moved:
            return self.why
        verb = "is now live" if self.moved else "stays live"
        told = f"{self.model_version} {self.generation} {verb}, {self.why}"
        return with_lacking(told, self.mirrored)


def promote_model(
    services: Sequence[ReleaseService],
    *,
    model_version: str | None,
    candidates: Sequence[str],
    actor: str,
    reason: str,
    automatic: bool = False,
    accept_undecided: bool = True,
    overrides: Mapping[Override, str] | None = None,
) -> list[Outcome]:
    """Ask for the release of a model version; without a name, of the best if it beats the live one.

    Over several backends it is one request, and each backend is a part of it. A part that fails
    keeps the others from nothing; its error is raised when they are done. Asking again completes
    what is missing, and mends aliases that were left behind.

    A gate that fails stays shut for everybody.

    Args:
        services: Where releases of the backends are decided.
        model_version: Which model; None for the best by the newest evaluations.
        candidates: Model versions to choose from.
        actor: Who asks.
        reason: Why.
        automatic: Whether a sensor or a schedule asks, and not a person.
        accept_undecided: Whether a person who asks has the last word over a gate that cannot
            tell. Only where no approvers are named.
        overrides: What to set aside -> why.

    Returns:
        One outcome a service, in their order.

    Raises:
        NothingToPromote: No evaluation to choose by, or no generation to promote.
        NotOurs: An index is another lake's, or was written by another history of this one.
        ReleaseShrinks: Readers would lose too many rows.
    """
    chosen = [_choice(service, model_version, candidates) for service in services]
    says_yes = accept_undecided and not automatic and not services[0].context.policy.approvers
    word: dict[Override, str] = {"undecided": reason} if says_yes else {}
    new = [one for one in chosen if not one.live]
    asked = ask_together(
        [Asked(one.service.store, one.state) for one in new],
        actor=actor,
        # Whoever is asked to approve reads why this one was chosen.
        reason=reason if model_version or not new else f"{reason}: {new[0].why}",
        automatic=automatic,
        overrides={**word, **(overrides or {})},
        evidence_ids=tuple(dict.fromkeys(found for one in new for found in one.evaluation_ids)),
    )
    mend = [one.service.mend_mirror for one in chosen if one.live]
    reconciled = {
        one.request.backend: one for one in reconcile_together(services, asked, completing=mend)
    }
    return [one.outcome(reconciled.get(one.service.context.backend)) for one in chosen]


@dataclass(frozen=True)
class _Choice:
    """What a promotion chose for one backend, and why."""

    service: ReleaseService
    state: GenerationState
    live: bool
    why: str
    evaluation_ids: tuple[str, ...]

    def outcome(self, reconciled: Reconciled | None) -> Outcome:
        """What became of it; without a request it was live."""
        place = (self.service.context.backend, self.state.model_version, self.state.generation)
        mirrored = self.service.context.pointer.mirrored
        if reconciled is None:
            return Outcome(*place, moved=False, why=self.why, mirrored=mirrored)
        return Outcome(
            *place,
            moved=reconciled.moved,
            why=self.why if reconciled.moved else reconciled.describe(),
            request_id=reconciled.request.request_id,
            waits=reconciled.request.open,
            refused=reconciled.refused,
            mirrored=mirrored,
        )


def _choice(
    service: ReleaseService, model_version: str | None, candidates: Sequence[str]
) -> _Choice:
    """The generation to make live on one backend."""
    live = service.context.pointer.live()
    evaluations = {
        name: found
        for name, found in newest_evaluations(service.context.lake, service.context.metric).items()
        if name in candidates
    }
    asked = model_version
    if asked is None and not evaluations and len(candidates) == 1:
        (asked,) = candidates
    chosen, why = _choose(
        evaluations, live.model_version if live else None, asked, service.context.metric
    )
    newest = service.context.sync.states.newest(chosen)
    if newest is None:
        raise NothingToPromote(
            f"{service.context.backend} has no generation of {chosen}: materialise its index first"
        )
    return _Choice(
        service,
        newest,
        live is not None and live.generation == newest.generation,
        why,
        tuple(found.evaluation_id for found in evaluations.values()),
    )


def _choose(
    evaluations: dict[str, Evaluation], live: str | None, asked: str | None, metric: str
) -> tuple[str, str]:
    """The model version to make live, and why."""
    scores = ", ".join(f"{name} {found.value:.3f}" for name, found in evaluations.items())
    if asked:
        return asked, f"chosen by name ({metric}: {scores or 'not evaluated'})"
    if not evaluations:
        raise NothingToPromote(
            "no model version is evaluated yet: materialise quality/retrieval, or name one of "
            "them in `model_version`"
        )
    best = max(evaluations.values(), key=lambda found: (found.value, found.model_version))
    if live is None or live not in evaluations or best.model_version == live:
        return best.model_version, f"best {metric}: {scores}"
    champion = evaluations[live]
    common = judged_alike(champion, best)
    if not common:
        return live, f"{metric}: {scores}; no golden query was judged alike for both"
    found = compare_scores(
        {query: champion.scores[query] for query in common},
        {query: best.scores[query] for query in common},
        metric=metric,
    )
    why = (
        f"{metric}: {scores}; {best.model_version} is {found.verdict} "
        f"({found.difference.mean:+.3f}, 95 % {found.difference.low:+.3f} to "
        f"{found.difference.high:+.3f}, {found.difference.count} queries)"
    )
    return (best.model_version if found.verdict == "better" else live), why
