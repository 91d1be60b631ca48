"""Diagnosis: every combination of verdicts, held to the table of kinds, actions and nevers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.remediation.checks import (
    CANARY,
    CHUNKS,
    DRIFT,
    PARITY,
    QUALITY,
    RECALL,
    REFUSED,
    VECTORS,
)
from vector_platform.remediation.diagnosis import diagnose
from vector_platform.remediation.faults import Diagnosis, Limits, Scope, Verdict
from vector_platform.remediation.reactions import BY_KIND, CONTRACT, REACTIONS
from vector_platform_tests.some import some

MODEL = "words.v1"
BACKENDS = ("milvus", "pinecone")
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
IDLE = ("await_evidence", "observe")

MOVED = {"global_alarm": True, "acts": True, "novel_share_low": 0.2, "slices_alarmed": []}
SLIGHTLY = MOVED | {"acts": False, "novel_share_low": 0.01}
DEBRIS = MOVED | {"damaged": True, "markup_low": 0.2}
IAM = {"tenant": "iam", "source": "aws_api", "novel_share_low": 0.2, "acts": True}
HARDLY = {"novel_share_low": 0.01, "acts": False}
ONE_SLICE = MOVED | {"global_alarm": False, "acts": False, "slices_alarmed": [IAM]}
DRIFTS: dict[str, tuple[bool | None, dict[str, Any]]] = {
    "quiet": (True, {"global_alarm": False, "acts": False, "slices_alarmed": []}),
    "unknown": (None, {}),
    "moved": (False, MOVED),
    "slightly": (False, SLIGHTLY),
    "one slice": (False, ONE_SLICE),
    "a slice, slightly": (False, ONE_SLICE | {"slices_alarmed": [IAM | HARDLY]}),
    "slightly, and a slice": (False, SLIGHTLY | {"slices_alarmed": [IAM]}),
    "debris": (False, DEBRIS),
    "wordless": (False, {}),
}
ANSWERS = (True, False, None)


def verdict(
    check: str, passed: bool | None = True, backend: str | None = None, **facts: Any
) -> Verdict:
    asset = f"{backend}/documents" if backend else "lake/embeddings"
    identity = f"{check}.{backend}" if backend else check
    return Verdict(check, asset, MODEL, passed, backend, identity, "run", NOON, facts)


def healthy() -> list[Verdict]:
    """Every check has run in one run, and passed."""
    return [
        *(verdict(check) for check in (CANARY, *CONTRACT, QUALITY, DRIFT)),
        *(verdict(check, True, b) for check in (PARITY, REFUSED, RECALL) for b in BACKENDS),
    ]


def but(*others: Verdict) -> list[Verdict]:
    """The healthy verdicts, some of them replaced."""
    replaced = {(v.check, v.backend) for v in others}
    return [v for v in healthy() if (v.check, v.backend) not in replaced] + list(others)


def look(verdicts: list[Verdict]) -> list[Diagnosis]:
    return diagnose(MODEL, verdicts, backends=BACKENDS)


def combinations() -> Iterator[list[Verdict]]:
    """Every combination of answers about a model and one backend; the other backend is well."""
    for canary, contract, parity, refused, recall, quality in itertools.product(ANSWERS, repeat=6):
        for drifted, facts in DRIFTS.values():
            yield but(
                verdict(CANARY, canary),
                verdict(VECTORS, contract),
                verdict(PARITY, parity, "milvus"),
                verdict(REFUSED, refused, "milvus"),
                verdict(RECALL, recall, "milvus"),
                verdict(QUALITY, quality),
                verdict(DRIFT, drifted, **facts),
            )


def answer(verdicts: list[Verdict], check: str, backend: str | None = None) -> bool | None:
    return next(v.passed for v in verdicts if v.check == check and v.backend in (backend, None))


COMBINATIONS = list(combinations())


def those(wanted: Callable[[list[Verdict]], bool]) -> list[list[Verdict]]:
    """Combinations that something is said of."""
    return [verdicts for verdicts in COMBINATIONS if wanted(verdicts)]


def that_lead_to(action: str) -> list[list[Verdict]]:
    return those(lambda verdicts: any(found.action == action for found in look(verdicts)))


# -- the table, over all combinations -------------------------------------------------------


def test_a_failed_canary_is_the_only_diagnosis_and_never_rebuilds() -> None:
    for verdicts in some(those(lambda verdicts: answer(verdicts, CANARY) is False)):
        (found,) = look(verdicts)
        assert (found.kind, found.action) == ("model_changed", "propose_version")


def test_only_a_changed_model_is_embedded_anew() -> None:
    for verdicts in some(that_lead_to("propose_version")):
        assert answer(verdicts, CANARY) is False


def test_only_fallen_quality_of_an_unchanged_model_and_a_faithful_index_is_trained_for() -> None:
    for verdicts in some(that_lead_to("retrain")):
        assert answer(verdicts, QUALITY) is False
        assert (answer(verdicts, CANARY), answer(verdicts, VECTORS)) == (True, True)
        for backend in BACKENDS:
            assert answer(verdicts, PARITY, backend) is True
            assert answer(verdicts, RECALL, backend) is True


def test_an_index_is_rebuilt_only_when_it_equals_the_lake_and_has_lost_recall() -> None:
    for verdicts in some(that_lead_to("rebuild")):
        for found in some(one for one in look(verdicts) if one.action == "rebuild"):
            assert answer(verdicts, RECALL, found.scope.backend) is False
            assert answer(verdicts, PARITY, found.scope.backend) is True
            assert (answer(verdicts, CANARY), answer(verdicts, VECTORS)) == (True, True)


def test_drift_alone_is_accepted_only_when_everything_else_is_known_to_hold() -> None:
    for verdicts in some(that_lead_to("accept_reference")):
        well = [answer(verdicts, check) for check in (CANARY, VECTORS, QUALITY)]
        well += [answer(verdicts, check, b) for check in (PARITY, RECALL) for b in BACKENDS]
        assert well == [True] * 7


def test_no_action_is_forbidden_by_another_diagnosis_of_the_same_model() -> None:
    for verdicts in some(those(lambda verdicts: len(look(verdicts)) > 1)):
        found = some(look(verdicts))
        for one, other in itertools.permutations(found, 2):
            if one.kind == "rows_refused" and other.kind != "rows_refused":
                continue  # Refused rows forbid acting for their own sake, not for another fault.
            assert other.action not in BY_KIND[one.kind].never
        assert all(one.action not in BY_KIND[one.kind].never for one in found)


def test_every_failed_verdict_is_a_diagnosis_or_explained_by_one() -> None:
    for verdicts in COMBINATIONS:
        found = look(verdicts)
        accounted = {e for one in found for e in (*one.evaluation_ids, *one.explains)}
        assert accounted == {v.evaluation_id for v in verdicts if v.passed is False}


def test_each_fault_is_diagnosed_once() -> None:
    for verdicts in COMBINATIONS:
        found = [(one.kind, one.scope) for one in look(verdicts)]
        assert len(found) == len(set(found))


def test_knowing_less_never_makes_anything_happen() -> None:
    for verdicts in COMBINATIONS:
        before = {one.action for one in look(verdicts)}
        known = [number for number, one in enumerate(verdicts) if one.passed is True]
        assert known
        for number in known:
            less = [*verdicts]
            less[number] = replace(less[number], passed=None)
            assert {d.action for d in look(less)} - {*IDLE} <= before


@given(st.sampled_from(COMBINATIONS), st.randoms(use_true_random=False))
def test_the_order_in_which_verdicts_are_read_does_not_matter(
    verdicts: list[Verdict], draw: Any
) -> None:
    shuffled = [*verdicts]
    draw.shuffle(shuffled)
    assert look(shuffled) == look(verdicts)


# -- single kinds ---------------------------------------------------------------------------


def test_nothing_is_wrong_when_everything_holds_or_nothing_is_known() -> None:
    assert look(healthy()) == []
    assert look([]) == []
    assert look([replace(v, passed=None) for v in healthy()]) == []


def test_vectors_of_another_fingerprint_are_a_changed_model() -> None:
    broken = {"rows_breaking_fingerprint_is_registered": 3}
    (found,) = look(but(verdict(VECTORS, False, **broken)))
    assert found.kind == "model_changed"
    (other,) = look(but(verdict(VECTORS, False, rows_breaking_norm_is_one=3)))
    assert other.kind == "contract_broken"


def test_debris_is_no_new_reference_and_no_reason_to_retrain() -> None:
    alarm = verdict(DRIFT, False, **DEBRIS)
    fell = verdict(QUALITY, False, difference=-0.1)
    for others in ((), (fell,)):
        (found,) = look(but(alarm, *others))
        assert (found.kind, found.action) == ("ingest_damaged", "quarantine_and_replay")
        assert {"accept_reference", "retrain"} <= {*BY_KIND[found.kind].never}


def test_fallen_quality_waits_until_the_drift_check_can_tell_debris() -> None:
    fell = verdict(QUALITY, False, difference=-0.1)
    (found,) = look(but(fell, verdict(DRIFT, None)))
    assert (found.kind, found.action) == ("quality_fell", "await_evidence")
    assert DRIFT in found.why
    (found,) = look(but(fell, verdict(DRIFT, False, **MOVED)))
    assert found.action == "retrain"


def test_chunks_that_break_the_contract_count_for_every_model() -> None:
    chunks = replace(verdict("chunks_keep_the_contract", False), model_version=None)
    (found,) = look(but(chunks))
    assert (found.action, found.scope) == ("quarantine_and_replay", Scope(MODEL))


def test_each_backend_has_a_diagnosis_of_its_own() -> None:
    found = look(but(verdict(PARITY, False, "milvus"), verdict(RECALL, False, "pinecone")))
    assert [(d.action, d.scope.backend) for d in found] == [
        ("repair", "milvus"),
        ("rebuild", "pinecone"),
    ]


def test_drift_with_lost_recall_on_a_slice_rebuilds_and_names_the_slice() -> None:
    lost = verdict(RECALL, False, "milvus", worst_slice="tenant=iam", worst_recall=0.52, floor=0.9)
    (found,) = look(but(lost, verdict(DRIFT, False, **MOVED)))
    assert found.action == "rebuild"
    assert found.explains == (DRIFT,)
    assert "0.52" in found.why
    assert "tenant=iam" in found.why


def test_a_mean_above_the_floor_does_not_hide_a_slice_below_it() -> None:
    (found,) = look(but(verdict(RECALL, False, "milvus", recall=0.92, floor=0.9)))
    assert found.action == "rebuild"


@pytest.mark.parametrize(
    ("facts", "limits", "churned"),
    [
        ({"deleted_share": 0.31}, Limits(), True),
        ({"deleted_share": 0.30}, Limits(), False),
        ({"p95_latency_ms": 500.0}, Limits(), False),
        ({"p95_latency_ms": 51.0}, Limits(p95_latency_ms=50), True),
        ({}, Limits(p95_latency_ms=50), False),
    ],
)
def test_an_index_that_finds_everything_but_carries_the_dead_is_churned(
    facts: dict[str, Any], limits: Limits, churned: bool
) -> None:
    verdicts = but(verdict(RECALL, True, "milvus", **facts))
    found = diagnose(MODEL, verdicts, backends=BACKENDS, limits=limits)
    assert [d.kind for d in found] == (["index_churned"] if churned else [])


def test_a_churned_index_is_rebuilt_whatever_is_known_of_quality() -> None:
    unknown = verdict(QUALITY, None)
    (found,) = look(but(verdict(RECALL, True, "milvus", deleted_share=0.5), unknown))
    assert found.action == "rebuild"


def test_each_slice_that_alarms_alone_is_that_slice_and_nothing_global() -> None:
    facts = ONE_SLICE | {"slices_alarmed": [IAM, IAM | {"tenant": "s3"}]}
    found = look(but(verdict(DRIFT, False, **facts)))
    assert [(d.action, d.scope.tenant) for d in found] == [
        ("quarantine_slice", "iam"),
        ("quarantine_slice", "s3"),
    ]
    assert all("at least 0.2 of it is new" in d.why for d in found)


def test_a_slice_of_which_little_is_new_is_watched_beside_one_that_acts() -> None:
    facts = ONE_SLICE | {"slices_alarmed": [IAM, IAM | HARDLY | {"tenant": "s3"}]}
    found = look(but(verdict(DRIFT, False, **facts)))
    assert [(d.kind, d.action, d.scope.tenant) for d in found] == [
        ("slice_moved", "quarantine_slice", "iam"),
        ("slice_moved", "observe", "s3"),
    ]
    assert "at least 0.01 of it is new, which is below what acts" in found[1].why


def test_a_slice_full_of_debris_is_called_that() -> None:
    dirty = IAM | {"damaged": True, "markup_low": 0.4}
    (found,) = look(but(verdict(DRIFT, False, **ONE_SLICE | {"slices_alarmed": [dirty]})))
    assert found.action == "quarantine_slice"
    assert "at least 0.4 of its texts hold more markup than before" in found.why


def test_a_slice_without_a_bound_is_watched() -> None:
    facts = ONE_SLICE | {"slices_alarmed": [{"tenant": "iam", "source": "aws_api"}]}
    (found,) = look(but(verdict(DRIFT, False, **facts)))
    assert (found.kind, found.action) == ("slice_moved", "observe")


def test_a_slice_acts_where_the_whole_moves_too_little_to_act() -> None:
    (found,) = look(but(verdict(DRIFT, False, **SLIGHTLY | {"slices_alarmed": [IAM]})))
    assert (found.action, found.scope.tenant) == ("quarantine_slice", "iam")
    (found,) = look(but(verdict(DRIFT, False, **SLIGHTLY | {"slices_alarmed": [IAM | HARDLY]})))
    assert (found.kind, found.action) == ("distribution_moved", "observe")
    (found,) = look(but(verdict(DRIFT, False, **MOVED | {"slices_alarmed": [IAM]})))
    assert found.action == "accept_reference"


def test_a_moved_distribution_is_not_accepted_before_its_days_are_enough() -> None:
    (found,) = look(but(verdict(DRIFT, False, **MOVED | {"days_missing": 12})))
    assert (found.kind, found.action) == ("distribution_moved", "await_evidence")
    assert "12 more day(s) of it must come before they can be a reference" in found.why
    (found,) = look(but(verdict(DRIFT, False, **MOVED | {"days_missing": 0})))
    assert found.action == "accept_reference"


def test_an_alarm_whose_effect_is_below_policy_is_watched() -> None:
    (found,) = look(but(verdict(DRIFT, False, **SLIGHTLY)))
    assert found.action == "observe"


@pytest.mark.parametrize("check", [CANARY, VECTORS, PARITY, RECALL, QUALITY])
def test_a_moved_distribution_waits_for_evidence_that_is_not_older_than_itself(check: str) -> None:
    drift = replace(verdict(DRIFT, False, **MOVED), run_id="today", at=NOON + timedelta(days=1))
    fresh = [
        replace(v, run_id="today", at=NOON + timedelta(hours=23)) if v.check != check else v
        for v in but(drift)
    ]
    (found,) = look(fresh)
    assert found.action == "await_evidence"
    assert check in found.why
    later = [replace(v, at=NOON + timedelta(days=2)) if v.check == check else v for v in fresh]
    (found,) = look(later)
    assert found.action == "accept_reference"


def test_what_vectors_are_made_from_may_have_been_checked_before_the_alarm() -> None:
    drift = replace(verdict(DRIFT, False, **MOVED), run_id="today", at=NOON + timedelta(days=1))
    fresh = [replace(v, run_id="today") if v.check != CHUNKS else v for v in but(drift)]
    (found,) = look(fresh)
    assert found.action == "accept_reference"


def test_without_golden_queries_a_moved_distribution_is_a_matter_for_people() -> None:
    verdicts = [v for v in but(verdict(DRIFT, False, **MOVED)) if v.check != QUALITY]
    (found,) = look(verdicts)
    assert found.action == "await_evidence"


def test_a_challenger_that_loses_to_the_champion_is_no_fault_and_no_proof() -> None:
    worse = {"champion": "words.v2", "verdict": "worse"}
    assert look(but(verdict(QUALITY, False, **worse))) == []
    moved = verdict(DRIFT, False, **MOVED)
    (found,) = look(but(verdict(QUALITY, False, **worse), moved))
    assert found.action == "await_evidence"
    (fell,) = look(but(verdict(QUALITY, False, **worse | {"champion": MODEL})))
    assert fell.action == "retrain"


def test_a_backend_that_is_not_used_any_more_says_nothing() -> None:
    verdicts = but(verdict(PARITY, False, "pinecone"))
    assert diagnose(MODEL, verdicts, backends=("milvus",)) == []


def test_another_models_verdicts_say_nothing() -> None:
    assert look(but(replace(verdict(CANARY, False), model_version="words.v2"))) == []


def test_every_kind_has_one_action_that_it_does_not_forbid() -> None:
    for reaction in REACTIONS:
        assert reaction.action not in reaction.never
