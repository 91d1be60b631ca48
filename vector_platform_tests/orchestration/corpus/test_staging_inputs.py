from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from vector_platform.lake.contract import canonical_json
from vector_platform.orchestration import keys
from vector_platform.orchestration.corpus.marts import NothingBuilt, _built_inputs, _recording

MARTS = {keys.MART_DOCUMENTS, keys.MART_RELATIONS}
BOTH = {dg.AssetKey(["staging", "stg_a"]), dg.AssetKey(["staging", "stg_b"])}


def build(project: Path, inputs: dict[str, str], selected: set[dg.AssetKey]) -> None:
    with _recording(project, inputs, selected):
        pass


def built(project: Path) -> dict[str, str]:
    return dict(json.loads(_built_inputs(project)))


def test_marts_are_made_of_what_staging_has_read(tmp_path: Path) -> None:
    build(tmp_path, {"a": "1", "b": "1"}, BOTH | MARTS)
    assert _built_inputs(tmp_path) == canonical_json({"a": "1", "b": "1"})


def test_marts_built_alone_do_not_claim_what_has_landed_in_the_meantime(tmp_path: Path) -> None:
    build(tmp_path, {"a": "1", "b": "1"}, set(BOTH))
    build(tmp_path, {"a": "2", "b": "1"}, set(MARTS))
    assert built(tmp_path) == {"a": "1", "b": "1"}


def test_staging_built_alone_does_not_change_what_the_marts_are_made_of(tmp_path: Path) -> None:
    build(tmp_path, {"a": "1", "b": "1"}, BOTH | MARTS)
    build(tmp_path, {"a": "2", "b": "1"}, {dg.AssetKey(["staging", "stg_a"])})
    assert built(tmp_path) == {"a": "1", "b": "1"}
    build(tmp_path, {"a": "2", "b": "2"}, set(MARTS))
    assert built(tmp_path) == {"a": "2", "b": "1"}


def test_a_build_that_fails_leaves_nothing_to_publish(tmp_path: Path) -> None:
    build(tmp_path, {"a": "1", "b": "1"}, BOTH | MARTS)
    with pytest.raises(RuntimeError), _recording(tmp_path, {"a": "2", "b": "1"}, BOTH | MARTS):
        raise RuntimeError("a test of dbt failed")
    with pytest.raises(NothingBuilt, match="staging and marts"):
        _built_inputs(tmp_path)


def test_a_source_that_is_no_longer_read_is_forgotten(tmp_path: Path) -> None:
    build(tmp_path, {"a": "1", "b": "1"}, BOTH | MARTS)
    build(tmp_path, {"a": "1"}, {dg.AssetKey(["staging", "stg_a"])} | MARTS)
    assert built(tmp_path) == {"a": "1"}
