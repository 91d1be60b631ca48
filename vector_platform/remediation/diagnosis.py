"""Diagnosis: from the newest verdicts of a model version to exactly one reason for each fault.

Belongs here: which fault explains which, and which action waits, pure.

A fault shows in many checks at once: a model that was changed under its name moves the
distribution, loses golden queries and recall. So faults are looked for in the order of
`REACTIONS`, and what an earlier one explains is no fault of its own. A check that has not run, has
failed to run or has answered "undecided" is unknown: it proves no fault, and it proves no health
either. Where an earlier fault would forbid an action, the action waits until that fault is known
not to be there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vector_platform.remediation.checks import CHECKS, QUALITY
from vector_platform.remediation.evidence import Evidence, rules_out
from vector_platform.remediation.faults import Diagnosis, Limits, Scope, Verdict
from vector_platform.remediation.reactions import REACTIONS, Reach, Reaction, ruled_out_before


def diagnose(
    model_version: str,
    verdicts: Iterable[Verdict],
    *,
    backends: Sequence[str],
    limits: Limits | None = None,
) -> list[Diagnosis]:
    """What is wrong with a model version, worst first.

    Args:
        model_version: Whose verdicts. Those of no model version (the chunks) count for all.
        verdicts: The newest of each check; what is missing is unknown.
        backends: Backends whose index must be faithful before anything else is blamed.
        limits: Bounds of a churned index.
    """
    seen = _Verdicts(model_version, verdicts, backends, limits or Limits())
    if whole := seen.first("model"):
        return whole
    refused = seen.all("rows")
    unfaithful = [found for backend in backends for found in seen.first("index", backend)]
    if unfaithful:
        others = seen.failed(*_checks_of("stream"))
        first = replace(unfaithful[0], explains=unfaithful[0].explains + _ids(others))
        return [first, *unfaithful[1:], *refused]
    return [*seen.all("upkeep"), *seen.first("stream"), *refused]


class _Verdicts:
    """The newest verdict of each check of one model version, and the faults they show."""

    def __init__(
        self,
        model_version: str,
        verdicts: Iterable[Verdict],
        backends: Sequence[str],
        limits: Limits,
    ) -> None:
        self._model_version = model_version
        self._backends = backends
        self._limits = limits
        self._all = sorted(
            (
                _of_its_own(verdict)
                for verdict in verdicts
                if verdict.model_version in (model_version, None)
                and (verdict.backend is None or verdict.backend in backends)
            ),
            key=lambda verdict: (verdict.check, verdict.backend or ""),
        )

    def first(self, reach: Reach, backend: str = "") -> list[Diagnosis]:
        """What the first reaction of a reach finds that finds anything."""
        found = (self._found(one, backend) for one in REACTIONS if one.reach == reach)
        return next((some for some in found if some), [])

    def all(self, reach: Reach) -> list[Diagnosis]:
        """What all reactions of a reach find, index by index."""
        return [
            one
            for reaction in REACTIONS
            if reaction.reach == reach
            for backend in self._backends
            for one in self._found(reaction, backend)
        ]

    def failed(self, *checks: str, backend: str = "", but: Sequence[Verdict] = ()) -> list[Verdict]:
        """Failed verdicts of some checks; of all without any."""
        return [
            verdict
            for verdict in self._of(*(checks or CHECKS), backend=backend)
            if verdict.passed is False and verdict not in but
        ]

    def _of(self, *checks: str, backend: str = "") -> list[Verdict]:
        return [v for v in self._all if v.check in checks and (v.backend == backend or not backend)]

    def _found(self, reaction: Reaction, backend: str) -> list[Diagnosis]:
        verdicts = self._of(*reaction.checks, backend=backend)
        scope = Scope(self._model_version, backend)
        return [
            self._diagnosed(reaction, scope, found)
            for found in reaction.find(verdicts, self._limits)
        ]

    def _diagnosed(self, reaction: Reaction, scope: Scope, found: Evidence) -> Diagnosis:
        """A fault with its action, which waits while what would forbid it is unknown."""
        action, why = found.instead or reaction.action, found.why
        missing = [] if found.instead else self._not_ruled_out(reaction, scope.backend, found)
        if missing:
            since = " since then" if found.not_before else ""
            action, why = "await_evidence", f"{why}; not known to hold{since}: {', '.join(missing)}"
        return Diagnosis(
            reaction.kind,
            action,
            replace(scope, **(found.slice or {})),
            why,
            _ids(found.proof),
            _ids(self._explained(reaction, scope.backend, found.proof)),
        )

    def _explained(
        self, reaction: Reaction, backend: str, proof: Sequence[Verdict]
    ) -> list[Verdict]:
        if reaction.reach == "model":
            return self.failed(but=proof)
        if reaction.reach in ("index", "stream"):
            return self.failed(*_checks_of(reaction.reach), backend=backend, but=proof)
        return []

    def _not_ruled_out(self, reaction: Reaction, backend: str, found: Evidence) -> list[str]:
        """Checks that must pass before the action is taken, and do not.

        Of an index fault, those of its index; else, every index must be well.
        """
        missing = []
        for check in ruled_out_before(reaction.kind):
            of = CHECKS[check].of
            # What vectors are made from is checked before they are, so never after an alarm.
            alarm = None if of == "lake/chunks" else found.not_before
            every = [backend] if backend else self._backends
            for place in every if of == "index" else [""]:
                known = self._of(check, backend=place)
                if not any(rules_out(one) and _is_as_new(one, alarm) for one in known):
                    missing.append(f"{check} on {place}" if place else check)
        return missing


def _checks_of(reach: Reach) -> tuple[str, ...]:
    return tuple(check for one in REACTIONS if one.reach == reach for check in one.checks)


def _of_its_own(verdict: Verdict) -> Verdict:
    """A challenger that finds less than the champion is no champion; nothing of it has fallen."""
    champion = verdict.facts.get("champion", verdict.model_version)
    if verdict.check == QUALITY and champion != verdict.model_version:
        return replace(verdict, passed=None)
    return verdict


def _is_as_new(verdict: Verdict, other: Verdict | None) -> bool:
    """Whether a verdict is of the same run as another, or later."""
    return other is None or verdict.run_id == other.run_id or verdict.at >= other.at


def _ids(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    return tuple(sorted({verdict.evaluation_id for verdict in verdicts}))
