"""Promotion: choosing a model version by its evaluations, and asking for its release.

Belongs here: the choice, and bringing the chosen generation up to date. Does not belong here:
measuring (`quality`), the gates, or the move of the pointer (`settling.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vector_platform.errors import TerminalError
from vector_platform.quality.retrieval import compare_scores
from vector_platform.releases.desk import ReleaseDesk
from vector_platform.releases.evaluations import Evaluation, judged_alike, newest_evaluations
from vector_platform.releases.policy import Override


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
    """

    backend: str
    model_version: str
    generation: str
    moved: bool
    why: str
    request_id: str = ""
    waits: bool = False

    def describe(self) -> str:
        """One line for people."""
        if self.request_id and not self.moved:
            return self.why
        verb = "is now live" if self.moved else "stays live"
        return f"{self.model_version} {self.generation} {verb}, {self.why}"


def promote_model(
    desk: ReleaseDesk,
    *,
    model_version: str | None,
    candidates: Sequence[str],
    actor: str,
    reason: str,
    automatic: bool = False,
    accept_undecided: bool = True,
    overrides: Mapping[Override, str] | None = None,
) -> Outcome:
    """Ask for the release of a model version; without a name, of the best if it beats the live one.

    A gate that fails stays shut for everybody.

    Args:
        desk: Where releases of the backend are decided.
        model_version: Which model; None for the best by the newest evaluations.
        candidates: Model versions to choose from.
        actor: Who asks.
        reason: Why.
        automatic: Whether a sensor or a schedule asks, and not a person.
        accept_undecided: Whether a person who asks has the last word over a gate that cannot
            tell. Only where no approvers are named.
        overrides: What to set aside -> why.

    Raises:
        NothingToPromote: No evaluation to choose by, or no generation to promote.
        ReleaseShrinks: Readers would lose too many rows.
    """
    backend = desk.target.backend
    live = desk.pointer.live()
    evaluations = {
        name: found
        for name, found in newest_evaluations(desk.lake, desk.examiner.metric).items()
        if name in candidates
    }
    chosen, why = _choose(
        evaluations, live.model_version if live else None, model_version, desk.examiner.metric
    )
    newest = desk.sync.states.newest(chosen)
    if newest is None:
        raise NothingToPromote(
            f"{backend} has no generation of {chosen}: materialise its index first"
        )
    if live and live.model_version == chosen and live.generation == newest.generation:
        return Outcome(backend, chosen, live.generation, moved=False, why=why)
    says_yes = accept_undecided and not automatic and not desk.policy.approvers
    word: dict[Override, str] = {"undecided": reason} if says_yes else {}
    settled = desk.release(
        newest,
        actor=actor,
        # Whoever is asked to approve reads why this one was chosen.
        reason=reason if model_version else f"{reason}: {why}",
        automatic=automatic,
        overrides={**word, **(overrides or {})},
        evidence_ids=tuple(found.evaluation_id for found in evaluations.values()),
    )
    return Outcome(
        backend,
        chosen,
        newest.generation,
        moved=settled.moved,
        why=why if settled.moved else settled.describe(),
        request_id=settled.request.request_id,
        waits=settled.request.open,
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
            "no model version is evaluated yet: materialise quality/retrieval, or name a model"
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
