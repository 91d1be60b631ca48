"""The component in a project that `create-dagster` made, with the wheel alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vector_platform_tests.installed import Installation, install

pytestmark = [pytest.mark.integration, pytest.mark.deep]

COMPONENT = "vector_platform.orchestration.components.VectorIndex"
TICKETS = """
import dagster as dg
import pandas as pd


@dg.asset(key=["crm", "tickets"])
def tickets() -> pd.DataFrame:
    return pd.DataFrame({"id": ["t1"], "body": ["The lamp above the stairs is dark."]})
"""
SOURCE = """
  sources:
    tickets:
      kind: frame
      asset: crm/tickets
      fields: {key: id, text: body}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def project(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    installed.says("create-dagster", "project", "--no-uv-sync", "shop", cwd=root)
    installed.add(root / "shop" / "src")
    return root / "shop"


def test_dg_lists_and_scaffolds_the_component_and_its_definitions_load(
    installed: Installation, project: Path
) -> None:
    assert COMPONENT in installed.says("dg", "list", "components", "--json", cwd=project)
    for name in ("handbook", "desk"):
        installed.says("dg", "scaffold", "defs", COMPONENT, name, cwd=project)
    folder = project / "src" / "shop" / "defs"
    assert len(list((folder / "handbook" / "handbook").glob("*.md"))) == 10
    # Two deployments in one project, and one of them reads what an asset of the project returns.
    (folder / "crm.py").write_text(TICKETS, encoding="utf-8")
    desk = folder / "desk" / "defs.yaml"
    text = desk.read_text(encoding="utf-8")
    start, end = text.index("\n  # Where rows come from"), text.index("\n  # How texts become")
    desk.write_text(text[:start] + SOURCE + text[end:], encoding="utf-8")
    assert "loaded successfully" in installed.says("dg", "check", "defs", cwd=project)
    listed = json.loads(installed.says("dg", "list", "defs", "--json", cwd=project))
    keys = {asset["asset_key"] for asset in listed["assets"]}
    assert {"handbook/milvus/documents", "desk/milvus/documents", "desk/raw/tickets"} <= keys
    deps = {asset["asset_key"]: asset["dependency_keys"] for asset in listed["assets"]}
    assert deps["desk/raw/tickets"] == ["crm/tickets"]


def test_the_command_line_runs_and_searches_a_component(
    installed: Installation, project: Path
) -> None:
    file = str(project / "src" / "shop" / "defs" / "handbook" / "defs.yaml")
    verb = ("vector-platform", "--config", file)
    try:
        said = installed.says(*verb, "run", cwd=project)
        assert said.count("is now live") == 2
        found = installed.says(
            *verb, "search", "the brake lever feels spongy", "--json", cwd=project
        )
        assert json.loads(found)[0]["hits"][0]["doc_id"] == "handbook:brakes.md"
    finally:
        installed.run(*verb, "services", "down", cwd=project)
    assert (project / ".vector_platform" / "handbook" / "lake").is_dir()
