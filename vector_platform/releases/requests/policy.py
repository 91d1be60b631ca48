"""Who has a say in a release request, and what its decisions add up to.

Belongs here: pure functions from a request, its decisions and the approval policy to its state.

A request goes one way: requested -> approved -> released, or ends rejected, withdrawn or expired.
Nothing but a `release` decision makes it released, and nothing ends it twice: what comes after
an end is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from vector_platform.errors import RefusedByPolicy
from vector_platform.lake.decisions import Decision
from vector_platform.releases.evaluation.evidence import Change
from vector_platform.releases.gates.gates import GateReport
from vector_platform.settings import Releases

State = Literal["requested", "approved", "rejected", "released", "withdrawn", "expired"]
# What may be set aside by name, with a reason. By people: a freeze, a gate that cannot tell, and
# the guard over rows that readers lose. By the job that replaces a stand-in: the approval.
Override = Literal["freeze", "undecided", "shrink", "approval"]


_ENDS: Mapping[str, State] = {
    "reject": "rejected",
    "withdraw": "withdrawn",
    "expire": "expired",
    "release": "released",
}


class MayNotDecide(RefusedByPolicy):
    """Somebody without a say in a request tried to decide it; nothing has changed."""


@dataclass(frozen=True)
class Standing:
    """What the decisions about a request add up to.

    Attributes:
        by_person: Whether a person asked, not a sensor or a schedule.
        end: How it ended; None while it is open.
        approvals: Who approved it, in order, since its evidence last got worse.
        overrides: What was set aside -> (who, why).
    """

    by_person: bool
    end: State | None = None
    approvals: tuple[str, ...] = ()
    overrides: Mapping[Override, tuple[str, str]] = field(default_factory=dict)


def standing_of(
    requester: str, decisions: Sequence[Decision], policy: Releases, *, automatic: bool
) -> Standing:
    """Add up the decisions about one request, oldest first.

    The requester's own approval never counts, nobody counts twice, and where approvers are
    named nobody else counts, even if such a row should ever be in the table.

    Args:
        requester: Who asked.
        decisions: All about the request.
        policy: Who has a say.
        automatic: Whether a sensor or a schedule asked, not a person.
    """
    end: State | None = None
    approvals: list[str] = []
    overrides: dict[Override, tuple[str, str]] = {}
    for decision in decisions:
        if end is not None:
            break
        if decision.what in _ENDS:
            end = _ENDS[decision.what]
        elif decision.what == "approve":
            if may_approve(decision.actor, requester, policy) and decision.actor not in approvals:
                approvals.append(decision.actor)
        elif decision.what == "reopen":
            approvals.clear()
            overrides.pop("undecided", None)
        elif decision.what == "override":
            what = cast(Override, decision.after)
            if may_override(what, decision.actor, requester, policy):
                overrides[what] = (decision.actor, decision.why)
    return Standing(not automatic, end, tuple(approvals), overrides)


def may_approve(actor: str, requester: str, policy: Releases) -> bool:
    """Whether somebody's approval of somebody's request counts."""
    return actor != requester and (not policy.approvers or actor in policy.approvers)


def may_override(what: Override, actor: str, requester: str, policy: Releases) -> bool:
    """Whether somebody may set something aside.

    Without named approvers whoever runs the platform may. With them, a freeze is for an approver
    other than the requester, and an undecided gate takes approvals instead.
    """
    if not policy.approvers or what == "shrink":
        return True
    return what == "freeze" and may_approve(actor, requester, policy)


def overrides_of(freeze: str, shrink: str) -> dict[Override, str]:
    """What a person sets aside -> why, from the reasons given; an empty one sets nothing aside."""
    given: dict[Override, str] = {"freeze": freeze, "shrink": shrink}
    return {what: why for what, why in given.items() if why}


def approvals_needed(
    change: Change, report: GateReport, standing: Standing, policy: Releases
) -> int:
    """How many approvals a change needs, given what its gates say.

    A rebuild by the live model's spec needs none: its gates decide. Everything else needs the
    configured number. Where nobody is named, a person who asks is one of them, so that whoever
    runs a platform alone can, and no sensor changes the model by itself; and the first release
    takes nothing from readers. A gate that cannot tell needs one in any case.
    """
    asked = policy.approvals
    if change == "rebuild" or "approval" in standing.overrides:
        asked = 0
    elif not policy.approvers:
        asked = 0 if change == "first" else policy.approvals - standing.by_person
    unsure = bool(report.named("undecided")) and "undecided" not in standing.overrides
    return max(asked, 1) if unsure else asked


def shut_gates(report: GateReport, standing: Standing) -> list[str]:
    """Gates that fail, each with why: nobody approves them away, and only a freeze is set aside."""
    return [
        f"{gate.name} fails: {gate.why}"
        for gate in report.gates
        if gate.outcome == "fail" and not (gate.name == "freeze" and "freeze" in standing.overrides)
    ]


def stands_in_the_way(
    change: Change, report: GateReport, standing: Standing, policy: Releases
) -> list[str]:
    """Everything that keeps an open request from being released; empty when nothing does."""
    reasons = shut_gates(report, standing)
    missing = approvals_needed(change, report, standing, policy) - len(standing.approvals)
    if missing > 0:
        unsure = [
            f"{g.name} is undecided: {g.why}" for g in report.gates if g.outcome == "undecided"
        ]
        who = ", ".join(policy.approvers) or "anybody but who asked"
        asked = f"{missing} approval{'s' if missing > 1 else ''} of {who}"
        reasons.append("; ".join([*unsure, f"it waits for {asked}"]))
    return reasons


def state_of(
    change: Change, report: GateReport | None, standing: Standing, policy: Releases
) -> State:
    """The state of a request. An open one is approved when its approvals are complete."""
    if standing.end is not None:
        return standing.end
    if report is None or set(report.named("fail")) - {"freeze"}:
        return "requested"
    needed = approvals_needed(change, report, standing, policy)
    return "approved" if len(standing.approvals) >= needed else "requested"
