"""What a failed check says of what follows: from the same tables that the sensors act by."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from vector_platform.remediation import faults
from vector_platform.remediation.next_steps import REACTIONS, what_happens
from vector_platform_tests.orchestration.harness import OLD, settings_of

FAILED: dict[str, tuple[dict[str, Any], str]] = {
    faults.CANARY: ({}, "reembed_on_changed_model"),
    faults.VECTORS: ({}, "tell_owners_of_bad_data"),
    faults.COMPLETE: ({}, "tell_owners_of_bad_data"),
    faults.CHUNKS: ({}, "tell_owners_of_bad_data"),
    faults.PARITY: ({}, "repair_on_divergence"),
    faults.REFUSED: ({}, "tell_owners_of_bad_data"),
    faults.RECALL: ({}, "reindex_on_lost_recall"),
    faults.QUALITY: ({}, "retrain_on_fallen_quality"),
}


def said(root: Path, check: str, *, passed: bool = False, **facts: Any) -> str:
    settings = settings_of(root)
    backend = "milvus" if check in (*faults.OF_AN_INDEX, faults.REFUSED) else None
    return what_happens(
        check, settings, passed=passed, facts=facts, model_version=OLD, backend=backend
    )


def test_every_fault_is_answered_by_exactly_one_sensor() -> None:
    answered = [kind for reaction in REACTIONS for kind in reaction.kinds]
    assert sorted(answered) == sorted(get_args(faults.Kind))


@pytest.mark.parametrize("check", FAILED)
def test_a_failed_check_names_the_sensor_that_answers_it(root: Path, check: str) -> None:
    facts, sensor = FAILED[check]
    assert f"The sensor {sensor} " in said(root, check, **facts)
    assert said(root, check, passed=True, **facts) == ""


def test_a_changed_fingerprint_is_a_changed_model(root: Path) -> None:
    told = said(root, faults.VECTORS, rows_breaking_fingerprint_is_registered=3)
    assert "reembed_on_changed_model" in told


def test_a_passed_recall_check_of_a_churned_index_says_that_it_is_rebuilt(root: Path) -> None:
    assert "reindex" in said(root, faults.RECALL, passed=True, deleted_share=0.9)
    assert said(root, faults.RECALL, passed=True, deleted_share=0.1) == ""


def test_what_must_hold_before_is_what_would_forbid_the_action(root: Path) -> None:
    told = said(root, faults.RECALL)
    for check in (faults.CANARY, *faults.CONTRACT, faults.PARITY):
        assert check in told
    assert faults.DRIFT not in told
    assert "as soon as" not in said(root, faults.CANARY), "nothing explains a changed model"
    assert "as soon as" not in said(root, faults.PARITY), "no fault forbids a repair"


def test_a_person_decides_where_the_policy_says_so(root: Path) -> None:
    settings = settings_of(root, acting={"rebuild": {"by": "person"}})
    told = what_happens(faults.RECALL, settings, passed=False, model_version=OLD, backend="milvus")
    assert "starts nothing, because acting.rebuild.by is person" in told
    assert "By hand: the job reindex" in told


def test_a_challenger_that_finds_less_than_the_champion_is_no_fault(root: Path) -> None:
    assert said(root, faults.QUALITY, champion="another.v1") == ""
