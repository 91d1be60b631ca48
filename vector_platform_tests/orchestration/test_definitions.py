"""The code location as a whole: it loads, it is light, and its names do not move."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from vector_platform.orchestration.build import build_definitions
from vector_platform.remediation.checks import CHECKS
from vector_platform.wiring import load_settings
from vector_platform_tests.some import some

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
HEAVY = "torch", "sentence_transformers", "transformers", "openvino", "pymilvus", "pinecone"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def shipped(data: str) -> dg.Definitions:
    """The definitions of the platform.yaml that ships with the project, on a data folder aside."""
    environment = {"VECTOR_PLATFORM_DATA": data}
    return build_definitions(settings=load_settings(PROJECT / "platform.yaml", environment))


def test_the_definitions_load(shipped: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(shipped)


def test_asset_keys_are_the_listed_ones(shipped: dg.Definitions) -> None:
    listed = (HERE / "asset_keys.txt").read_text(encoding="utf-8").split()
    assert sorted(key.to_user_string() for key in shipped.resolve_all_asset_keys()) == listed


def test_every_asset_is_described_grouped_and_versioned(shipped: dg.Definitions) -> None:
    graph = shipped.resolve_asset_graph()
    made = graph.materializable_asset_keys
    assert len(made) >= 12
    for key in made:
        node = graph.get(key)
        assert node.code_version, key
        assert node.description, key
        assert node.group_name not in (None, "default"), key
        assert node.kinds, key


def test_everything_but_raw_assets_follows_by_itself(shipped: dg.Definitions) -> None:
    graph = shipped.resolve_asset_graph()
    for key in some(graph.get_all_asset_keys()):
        assert (graph.get(key).automation_condition is None) == (key.path[0] == "raw"), key


def test_every_check_is_what_its_record_says(shipped: dg.Definitions) -> None:
    graph = shipped.resolve_asset_graph()
    specs = [graph.get_check_spec(key) for key in graph.asset_check_keys]
    ours = [spec for spec in specs if spec.asset_key.path[0] != "marts"]
    assert {spec.name for spec in ours} == set(CHECKS)
    for spec in ours:
        record = CHECKS[spec.name]
        assert (spec.description, spec.blocking) == (record.asserts, record.blocks)
        assert place(spec.asset_key) == record.of


def place(asset: dg.AssetKey) -> str:
    named = asset.to_user_string()
    if named.startswith("raw/"):
        return "raw"
    return named if asset.path[0] in ("lake", "quality") else "index"


def test_contract_checks_block_and_drift_and_parity_do_not(shipped: dg.Definitions) -> None:
    graph = shipped.resolve_asset_graph()
    blocking = {key.name: graph.get(key).blocking for key in graph.asset_check_keys}
    for name in (
        "chunks_keep_the_contract",
        "every_chunk_is_embedded",
        "vectors_keep_the_contract",
        "model_answers_as_registered",
    ):
        assert blocking[name], name
    for name in (
        "distribution_has_not_drifted",
        "index_matches_lake",
        "index_recall_holds",
        "retrieval_quality_holds",
        "every_row_lands",
    ):
        assert not blocking[name], name


def test_partitions_that_differ_have_a_mapping_that_fires(shipped: dg.Definitions) -> None:
    graph = shipped.resolve_asset_graph()
    differing = [
        (key, parent)
        for key in graph.get_all_asset_keys()
        for parent in graph.get(key).parent_keys
        if graph.get(parent).partitions_def != graph.get(key).partitions_def
    ]
    for key, parent in some(differing):
        mapping = graph.get_partition_mapping(key, parent)
        assert isinstance(mapping, dg.AllPartitionMapping), (key, parent)


def test_loading_the_code_location_imports_no_model_and_no_backend(
    shipped: dg.Definitions, data: str
) -> None:
    script = (
        "import sys\n"
        "import vector_platform.definitions\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    environment = os.environ | {
        "VECTOR_PLATFORM_CONFIG": str(PROJECT / "platform.yaml"),
        "VECTOR_PLATFORM_DATA": data,
        "DAGSTER_HOME": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"
