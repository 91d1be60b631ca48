from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from vector_platform.lake.decisions import Decision
from vector_platform.releases.evaluation.evidence import Change
from vector_platform.releases.gates.gates import GateReport, judge
from vector_platform.releases.requests.policy import (
    approvals_needed,
    may_approve,
    standing_of,
    stands_in_the_way,
    state_of,
)
from vector_platform.settings import Releases
from vector_platform_tests.releases.samples import MOMENT, decision, evidence, scores

PEOPLE = ["ann", "bob", "cat", "dan"]
ALONE = Releases()
TWO = Releases(approvals=2)
NAMED = Releases(approvers=["ann", "bob", "cat"], approvals=2)
PASSING = judge(evidence(), ALONE, moment=MOMENT)
UNSURE = judge(evidence(index_recall=None), ALONE, moment=MOMENT)
FAILING = judge(evidence(differences="1 missing"), ALONE, moment=MOMENT)
FROZEN_POLICY = Releases(freezes=[{"name": "march", "first_day": "2026-03-01"}])  # type: ignore[list-item]
FROZEN = judge(evidence(), FROZEN_POLICY, moment=MOMENT)

WHATS = ["approve", "reject", "withdraw", "expire", "override", "reopen", "release"]
histories = st.lists(
    st.tuples(
        st.sampled_from(WHATS),
        st.sampled_from(PEOPLE),
        st.sampled_from(["freeze", "undecided", "shrink", "approval", None]),
    ),
    max_size=12,
).map(
    lambda rows: [
        decision(what, actor, at, after)  # type: ignore[arg-type]
        for at, (what, actor, after) in enumerate(rows)
        if what != "override" or after is not None
    ]
)
reports = st.sampled_from([PASSING, UNSURE, FAILING, FROZEN])
changes = st.sampled_from(["first", "rebuild", "index_spec", "model"])


@given(histories, changes, reports, st.sampled_from([ALONE, NAMED]), st.booleans())
def test_nothing_is_let_through_without_its_gates_and_approvals(
    decisions: list[Decision],
    change: Change,
    report: GateReport,
    policy: Releases,
    automatic: bool,
) -> None:
    standing = standing_of("ann", decisions, policy, automatic=automatic)
    if stands_in_the_way(change, report, standing, policy):
        return
    failing = set(report.named("fail"))
    assert failing <= ({"freeze"} if "freeze" in standing.overrides else set())
    votes = {d.actor for d in decisions if d.what == "approve"} - {"ann"}
    if policy.approvers and change != "rebuild":
        assert len(votes & {"bob", "cat"}) >= 2
    if automatic and change in ("model", "index_spec") and "approval" not in standing.overrides:
        assert votes
    if report.named("undecided"):
        said_yes = {d.actor for d in decisions if d.after == "undecided"}
        assert votes or (said_yes and not policy.approvers)


@given(histories, st.sampled_from([ALONE, NAMED]), st.sampled_from(PEOPLE))
def test_the_requester_never_counts_and_nobody_counts_twice(
    decisions: list[Decision], policy: Releases, requester: str
) -> None:
    counted = standing_of(requester, decisions, policy, automatic=False).approvals
    assert requester not in counted
    assert len(set(counted)) == len(counted)
    assert all(may_approve(actor, requester, policy) for actor in counted)


@given(histories, changes, reports, st.sampled_from([ALONE, NAMED]), st.booleans())
def test_the_first_end_is_the_end(
    decisions: list[Decision],
    change: Change,
    report: GateReport,
    policy: Releases,
    automatic: bool,
) -> None:
    ends = {"reject": "rejected", "withdraw": "withdrawn", "expire": "expired"}
    ends["release"] = "released"
    first = next((ends[d.what] for d in decisions if d.what in ends), None)
    state = state_of(
        change, report, standing_of("ann", decisions, policy, automatic=automatic), policy
    )
    assert state == first if first else state in ("requested", "approved")


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(histories, changes, reports)
def test_one_more_approval_never_makes_a_release_harder(
    decisions: list[Decision], change: Change, report: GateReport
) -> None:
    before = standing_of("ann", decisions, NAMED, automatic=False)
    after = standing_of("ann", [*decisions, decision("approve", "bob", 99)], NAMED, automatic=False)
    assume(not stands_in_the_way(change, report, before, NAMED))
    assert not stands_in_the_way(change, report, after, NAMED)


@pytest.mark.parametrize(
    ("change", "report", "policy", "of_a_person", "of_a_sensor"),
    [
        ("rebuild", PASSING, ALONE, 0, 0),
        ("first", PASSING, ALONE, 0, 0),
        ("model", PASSING, ALONE, 0, 1),
        ("index_spec", PASSING, ALONE, 0, 1),
        ("model", UNSURE, ALONE, 1, 1),
        ("model", PASSING, TWO, 1, 2),
        ("rebuild", PASSING, NAMED, 0, 0),
        ("rebuild", UNSURE, NAMED, 1, 1),
        ("first", PASSING, NAMED, 2, 2),
        ("index_spec", PASSING, NAMED, 2, 2),
        ("model", UNSURE, NAMED, 2, 2),
    ],
)
def test_how_many_approvals_a_change_needs(
    change: Change, report: GateReport, policy: Releases, of_a_person: int, of_a_sensor: int
) -> None:
    needed = [
        approvals_needed(change, report, standing_of("who", [], policy, automatic=asks), policy)
        for asks in (False, True)
    ]
    assert needed == [of_a_person, of_a_sensor]


def test_only_where_nobody_is_named_may_an_approval_be_set_aside() -> None:
    said = [decision("override", "replace_alignment", 1, "approval")]
    for policy, needed in ((ALONE, 0), (NAMED, 2)):
        standing = standing_of("replace_alignment", said, policy, automatic=True)
        assert approvals_needed("model", PASSING, standing, policy) == needed


def test_a_gate_that_cannot_tell_any_more_voids_what_was_said_before() -> None:
    said = [decision("approve", "bob", 1), decision("override", "ann", 2, "undecided")]
    assert standing_of("ann", said, ALONE, automatic=False).approvals == ("bob",)
    after = standing_of("ann", [*said, decision("reopen", "platform", 3)], ALONE, automatic=False)
    assert (after.approvals, dict(after.overrides)) == ((), {})


def test_what_a_request_waits_for_names_the_gate_and_the_people() -> None:
    standing = standing_of("dan", [decision("approve", "ann")], NAMED, automatic=False)
    scored = evidence(change="model", same_vectors=False, quality=scores(0.0, queries=30))
    (reason,) = stands_in_the_way("model", judge(scored, NAMED, moment=MOMENT), standing, NAMED)
    assert "quality is undecided: 30 questions are too few" in reason
    assert "1 approval of ann, bob, cat" in reason
