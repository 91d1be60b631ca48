"""Releases through Dagster: approval, rejection and rollback as jobs.

The lake is real, the backends are in memory, the runs are Dagster's own.
"""

from __future__ import annotations

import pytest

from vector_platform.lake.decisions import Decisions
from vector_platform.orchestration.launch import RunFailed
from vector_platform.orchestration.releases.jobs import RollbackConfig
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import NEW
from vector_platform_tests.orchestration.releasing import Service


def test_a_new_model_is_released_by_an_approval_job_and_not_before(service: Service) -> None:
    service.policy(approvers=["ann", "bob"])
    told = service.promote(NEW)
    assert (told["moved"], told["waits"], service.live()) == (False, True, "g0001")
    with pytest.raises(RunFailed, match="not one of the approvers"):
        service.decide("approve", told["request"], "dan2")
    with pytest.raises(RunFailed, match="nobody approves their own"):
        service.decide("approve", told["request"], "dan")
    assert service.decide("approve", told["request"], "ann")["moved"]
    assert service.live() == "g0002"
    assert not service.decide("approve", told["request"], "bob")["moved"]


def test_a_sensors_proposal_of_another_model_waits_and_is_shown_until_somebody_approves_it(
    service: Service,
) -> None:
    assert service.shown() == ({}, {})
    told = service.promote(NEW, actor="retrain_on_fallen_quality", automatic=True)
    asked = told["request"]
    assert (told["waits"], service.live()) == (True, "g0001")
    facts, reports = service.shown()
    assert "approval of anybody but who asked" in facts[asked]["summary"]
    assert reports[asked].startswith("## milvus documents")
    with pytest.raises(RunFailed, match="nobody approves their own"):
        service.decide("approve", asked, "retrain_on_fallen_quality")
    assert service.decide("approve", asked, "ann")["moved"]
    assert service.live() == "g0002"
    assert service.shown() == ({}, {})
    facts, reports = service.shown(asked)
    assert (facts[asked]["state"], set(reports)) == ("released", {asked})


@pytest.mark.deep
def test_an_approval_may_let_readers_lose_rows_and_says_so_in_the_record(service: Service) -> None:
    service.policy(approvers=["ann", "bob"])
    asked = service.promote(NEW)["request"]
    lake = service.runs.platform.lake
    building.put(lake, delete=[f"guides:{n}#0" for n in range(12)])
    with pytest.raises(RunFailed, match="--allow-shrink"):
        service.decide("approve", asked, "ann")
    assert service.live() == "g0001"
    told = service.decide("approve", asked, "ann", allow_shrink=True)
    # It is measured now, without a row to ask for: what was said before counts no more.
    assert "recall is undecided" in told["summary"]
    assert service.decide("approve", asked, "ann")["moved"]
    kept = Decisions(lake, run_id="test").about(asked, what="override", actor="ann")
    assert [(one.after, one.why) for one in kept] == [("shrink", "because")]


def test_a_rejected_request_is_not_released_later(service: Service) -> None:
    service.policy(approvers=["ann", "bob"])
    told = service.promote(NEW)
    assert service.decide("reject", told["request"], "ann")["state"] == "rejected"
    with pytest.raises(RunFailed, match="rejected"):
        service.decide("approve", told["request"], "bob")
    assert service.live() == "g0001"


def test_a_rollback_job_goes_back_with_a_reason(service: Service) -> None:
    service.promote(NEW)
    config = RollbackConfig(actor="ann", reason="complaints")
    service.runs.job("roll_back", config)
    release = service.runs.platform.live_pointer("milvus").live()
    assert release is not None and (release.actor, release.reason) == ("ann", "complaints")
    assert service.live() == "g0001"
