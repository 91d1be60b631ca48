"""Reading the history of checks: the newest verdict of each, and only what is known."""

from __future__ import annotations

import dagster as dg
import pytest

from vector_platform.orchestration import keys
from vector_platform.orchestration.check_results import PAGE, model_verdicts, newest_results
from vector_platform.remediation import checks
from vector_platform.settings import Settings
from vector_platform_tests.orchestration.harness import NEW, OLD, Automation, Request
from vector_platform_tests.orchestration.verdicts import Says, lost, moved, run_checks, well

DRIFT = dg.AssetCheckKey(keys.EMBEDDINGS, checks.DRIFT)
PARITY = dg.AssetCheckKey(dg.AssetKey(["milvus", "documents"]), checks.PARITY)


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


def newest(instance: dg.DagsterInstance, model: str | None = OLD) -> bool | None:
    found = newest_results(instance, [DRIFT], partition=model).get(DRIFT)
    return found.passed if found else None


def test_the_newest_evaluation_of_each_model_version_stands(instance: dg.DagsterInstance) -> None:
    assert newest(instance) is None
    run_checks(instance, OLD, moved("e1"))
    run_checks(instance, NEW, moved("e2"))
    run_checks(instance, OLD, Says(checks.DRIFT, True))
    assert (newest(instance, OLD), newest(instance, NEW)) == (True, False)


def test_a_check_that_failed_to_run_is_unknown_whatever_it_said_before(
    instance: dg.DagsterInstance,
) -> None:
    for answer in (True, False):
        run_checks(instance, OLD, Says(checks.DRIFT, answer))
        assert newest(instance) is answer
        run_checks(instance, OLD, Says(checks.DRIFT, None))
        assert newest(instance) is None


@pytest.mark.parametrize("waiting", [1, PAGE, PAGE + 1])
def test_while_runs_are_under_way_the_verdict_before_them_stands(
    automation: Automation, waiting: int
) -> None:
    automation.play(Request(("lake/embeddings",), OLD), failed=[checks.DRIFT])
    runs = [automation.start(Request(("lake/embeddings",), OLD)) for _ in range(waiting)]
    assert newest(automation.instance) is False
    runs[-1].materialise("lake/embeddings")
    assert newest(automation.instance) is True


def test_a_run_that_died_before_its_check_leaves_it_unknown(automation: Automation) -> None:
    automation.play(Request(("lake/embeddings",), OLD))
    automation.start(Request(("lake/embeddings",), OLD)).end(success=False)
    assert newest(automation.instance) is None


def test_verdicts_carry_what_they_are_about(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    run_checks(instance, OLD, *well())
    run_checks(instance, OLD, lost("e7", "pinecone"))
    run_checks(instance, None, Says("chunks_keep_the_contract"))
    run_checks(instance, NEW, lost("e8", "milvus"))
    found = {(v.check, v.backend): v for v in model_verdicts(instance, settings, OLD)}
    recall = found[checks.RECALL, "pinecone"]
    assert (recall.passed, recall.evaluation_id, recall.model_version) == (False, "e7", OLD)
    assert recall.facts["worst_slice"] == "tenant=iam"
    assert found[checks.RECALL, "milvus"].passed is True
    assert found["chunks_keep_the_contract", None].model_version is None
    assert len(found) == len(well()) + 1


def test_a_verdict_without_an_evaluation_is_known_by_its_record(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    ids = set()
    for _ in range(2):
        run_checks(instance, OLD, Says(checks.PARITY, False, "milvus"))
        (found,) = model_verdicts(instance, settings, OLD)
        ids.add(found.evaluation_id)
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("verdict", "passed"),
    [("not worse", True), ("better", True), ("undecided", None), ("nothing is live yet", None)],
)
def test_a_check_that_cannot_tell_is_no_verdict(
    verdict: str, passed: bool | None, instance: dg.DagsterInstance, settings: Settings
) -> None:
    run_checks(instance, OLD, Says(checks.QUALITY, True, facts={"verdict": verdict}))
    (found,) = model_verdicts(instance, settings, OLD)
    assert found.passed is passed
