"""What a failed check says of what follows: from the same tables that the sensors act by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vector_platform.remediation import checks
from vector_platform.remediation.next_steps import what_happens
from vector_platform.remediation.reactions import (
    BY_KIND,
    CONTRACT,
    REACTIONS,
    SENSORS,
    answered_by,
)
from vector_platform_tests.orchestration.harness import OLD, settings_of

FAILED: dict[str, tuple[dict[str, Any], str]] = {
    checks.CANARY: ({}, "reembed_on_changed_model"),
    checks.VECTORS: ({}, "tell_owners_of_bad_data"),
    checks.COMPLETE: ({}, "tell_owners_of_bad_data"),
    checks.CHUNKS: ({}, "tell_owners_of_bad_data"),
    checks.PARITY: ({}, "repair_on_divergence"),
    checks.REFUSED: ({}, "tell_owners_of_bad_data"),
    checks.RECALL: ({}, "reindex_on_lost_recall"),
    checks.QUALITY: ({}, "retrain_on_fallen_quality"),
}


def said(root: Path, check: str, *, passed: bool = False, **facts: Any) -> str:
    settings = settings_of(root)
    backend = "milvus" if check in (checks.PARITY, checks.RECALL, checks.REFUSED) else None
    return what_happens(
        check, settings, passed=passed, facts=facts, model_version=OLD, backend=backend
    )


def test_every_fault_is_answered_by_exactly_one_sensor() -> None:
    answered = [kind for sensor in SENSORS for kind in answered_by(sensor)]
    assert sorted(answered) == sorted(BY_KIND)
    assert len(REACTIONS) == len(BY_KIND)


@pytest.mark.parametrize("check", FAILED)
def test_a_failed_check_names_the_sensor_that_answers_it(tmp_path: Path, check: str) -> None:
    facts, sensor = FAILED[check]
    assert f"The sensor {sensor} " in said(tmp_path, check, **facts)
    assert said(tmp_path, check, passed=True, **facts) == ""


def test_a_changed_fingerprint_is_a_changed_model(tmp_path: Path) -> None:
    told = said(tmp_path, checks.VECTORS, rows_breaking_fingerprint_is_registered=3)
    assert "reembed_on_changed_model" in told


def test_a_passed_recall_check_of_a_churned_index_says_that_it_is_rebuilt(tmp_path: Path) -> None:
    assert "reindex" in said(tmp_path, checks.RECALL, passed=True, deleted_share=0.9)
    assert said(tmp_path, checks.RECALL, passed=True, deleted_share=0.1) == ""


def test_what_must_hold_before_is_what_would_forbid_the_action(tmp_path: Path) -> None:
    told = said(tmp_path, checks.RECALL)
    for check in (checks.CANARY, *CONTRACT, checks.PARITY):
        assert check in told
    assert checks.DRIFT not in told
    assert "as soon as" not in said(tmp_path, checks.CANARY), "nothing explains a changed model"
    assert "as soon as" not in said(tmp_path, checks.PARITY), "no fault forbids a repair"


def test_a_person_decides_where_the_policy_says_so(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, acting={"rebuild": {"by": "person"}})
    told = what_happens(checks.RECALL, settings, passed=False, model_version=OLD, backend="milvus")
    assert "starts nothing, because acting.rebuild.by is person" in told
    assert "By hand: the job reindex" in told


def test_a_challenger_that_finds_less_than_the_champion_is_no_fault(tmp_path: Path) -> None:
    assert said(tmp_path, checks.QUALITY, champion="another.v1") == ""
