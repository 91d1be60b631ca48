"""Reading the history of a check: every verdict is seen, whatever the order they come in."""

from __future__ import annotations

import uuid

import dagster as dg
import pytest

from vector_platform.orchestration import keys
from vector_platform.orchestration.check_results import PAGE, results_since
from vector_platform_tests.orchestration.harness import NEW, OLD, Automation, Request

DRIFT = dg.AssetCheckKey(keys.EMBEDDINGS, keys.NO_DRIFT)


def report(
    instance: dg.DagsterInstance, *, passed: bool, model: str | None = OLD, evaluation: str = ""
) -> None:
    """The verdict of one run. (Dagster keeps only one that belongs to no run.)"""
    verdict = dg.AssetCheckEvaluation(
        asset_key=keys.EMBEDDINGS,
        check_name=keys.NO_DRIFT,
        passed=passed,
        partition=model,
        metadata={"evaluation_id": evaluation} if evaluation else {},
    )
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
        job_name="job",
        event_specific_data=verdict,
    )
    instance.report_dagster_event(event, run_id=str(uuid.uuid4()))


def test_results_come_oldest_first_and_once() -> None:
    instance = dg.DagsterInstance.ephemeral()
    assert results_since(instance, DRIFT, after_id=0).results == []
    for passed, model in ((True, OLD), (False, NEW), (False, OLD)):
        report(instance, passed=passed, model=model)
    unseen = results_since(instance, DRIFT, after_id=0)
    assert [(r.partition, r.passed) for r in unseen.results] == [
        (OLD, True),
        (NEW, False),
        (OLD, False),
    ]
    again = results_since(instance, DRIFT, after_id=unseen.settled_id)
    assert again.results == []
    assert again.settled_id == unseen.settled_id


def test_a_storm_of_results_between_two_ticks_loses_none() -> None:
    instance = dg.DagsterInstance.ephemeral()
    report(instance, passed=True)
    seen = results_since(instance, DRIFT, after_id=0).settled_id
    storm = [(OLD, NEW)[number % 2] for number in range(2 * PAGE + 1)]
    for number, model in enumerate(storm):
        report(instance, passed=False, model=model, evaluation=str(number))
    results = results_since(instance, DRIFT, after_id=seen).results
    assert [result.partition for result in results] == storm
    assert [result.metadata["evaluation_id"] for result in results] == [
        str(number) for number in range(len(storm))
    ]


@pytest.mark.parametrize("count", [PAGE - 1, PAGE, PAGE + 1])
def test_the_edge_of_a_page_is_not_the_edge_of_history(count: int) -> None:
    instance = dg.DagsterInstance.ephemeral()
    for _ in range(count):
        report(instance, passed=False)
    assert len(results_since(instance, DRIFT, after_id=0).results) == count


def test_a_check_that_was_planned_first_and_ends_last_is_seen(automation: Automation) -> None:
    slow = automation.start(Request(("lake/embeddings",), OLD))
    quick = automation.start(Request(("lake/embeddings",), NEW))
    quick.materialise("lake/embeddings")
    quick.end()
    first = results_since(automation.instance, DRIFT, after_id=0)
    assert [result.partition for result in first.results] == [NEW]
    slow.materialise("lake/embeddings", failed=[keys.NO_DRIFT])
    slow.end()
    second = results_since(automation.instance, DRIFT, after_id=first.settled_id)
    assert (OLD, False) in [(result.partition, result.passed) for result in second.results]
    assert results_since(automation.instance, DRIFT, after_id=second.settled_id).results == []


def test_a_run_that_died_before_its_check_holds_nothing_up(automation: Automation) -> None:
    automation.start(Request(("lake/embeddings",), OLD)).end(success=False)
    automation.play(Request(("lake/embeddings",), NEW))
    unseen = results_since(automation.instance, DRIFT, after_id=0)
    assert [result.partition for result in unseen.results] == [NEW]
    assert results_since(automation.instance, DRIFT, after_id=unseen.settled_id).results == []
