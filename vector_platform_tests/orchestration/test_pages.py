"""The pages of assets and checks: columns that say what they hold, the key fact first."""

from __future__ import annotations

import os
import warnings
from typing import Any

import dagster as dg
import pytest

from vector_platform.orchestration.build import build_definitions
from vector_platform.orchestration.showing import FACTS, FIRST, arranged, unfolded
from vector_platform.remediation.checks import CHECKS, DRIFT, QUALITY
from vector_platform.settings import Settings
from vector_platform_tests.orchestration.pages import unreadable_check

MANY: dict[str, Any] = {f"fact_{number}": number for number in range(30)}


def evaluated(check: str, *, passed: bool, **facts: Any) -> dg.AssetCheckEvaluation:
    said = {"diagnosis": "what is wrong", "what_happens": "who mends it"}
    answer = arranged(check, dg.AssetCheckResult(passed=passed, metadata={**MANY, **said, **facts}))
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("any"),
        check_name=check,
        passed=answer.passed,
        metadata=answer.metadata,
        severity=answer.severity,
    )


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.parametrize("check", CHECKS)
def test_an_answer_says_first_what_is_wrong_and_what_happens_next(check: str, passed: bool) -> None:
    decided = {"outcome": "drifted", "verdict": "worse"}
    plotted = dict.fromkeys(CHECKS[check].plots, 0.5)
    found = evaluated(check, passed=passed, **decided, **plotted)
    assert found.passed is passed
    assert list(unreadable_check(found)) == []
    first = found.metadata[FIRST].value
    assert first == ("what is wrong" if passed else "what is wrong Next: who mends it")
    assert found.metadata.keys() == {FIRST, FACTS, *plotted}
    # What sensors read is there under the names that the check gave it.
    assert unfolded(found.metadata).items() >= {**MANY, **decided, **plotted}.items()


@pytest.mark.parametrize(
    ("check", "facts"),
    [(DRIFT, {"outcome": "not enough data"}), (QUALITY, {"verdict": "undecided"})],
)
def test_what_cannot_be_told_is_a_warning_and_no_success(check: str, facts: dict[str, str]) -> None:
    found = evaluated(check, passed=True, **facts)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert list(unreadable_check(found)) == []


def test_loading_the_definitions_uses_nothing_that_is_to_go(settings: Settings) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", DeprecationWarning)
        build_definitions(settings=settings).get_repository_def().load_all_definitions()
    ours = [str(one.message) for one in said if f"{os.sep}vector_platform{os.sep}" in one.filename]
    assert ours == []


def test_every_column_of_every_asset_says_what_it_holds(settings: Settings) -> None:
    graph = build_definitions(settings=settings).resolve_asset_graph()
    described: dict[str, dict[str, str]] = {}
    for key in graph.get_all_asset_keys():
        schema = graph.get(key).metadata.get("dagster/column_schema")
        if schema is not None:
            columns = getattr(schema, "value", schema).columns
            described[key.to_user_string()] = {one.name: one.description or "" for one in columns}
    assert {"lake/chunks", "lake/embeddings", "raw/notices", "marts/documents"} <= set(described)
    silent = {
        f"{asset}.{column}"
        for asset, columns in described.items()
        for column, said in columns.items()
        if len(said) < 5
    }
    assert silent == set()
