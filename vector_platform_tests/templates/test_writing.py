"""A template becomes a deployment: valid, readable, and in nobody's way."""

from __future__ import annotations

import os
import sqlite3
from datetime import date
from pathlib import Path

import pytest
import yaml

from vector_platform.preflight import look
from vector_platform.sources.base import DayWindow, SourceRow
from vector_platform.templates.writing import (
    AlreadyThere,
    Template,
    template_files,
    write_files,
)
from vector_platform.wiring import Platform, read_deployment
from vector_platform_tests.some import some

TODAY = date(2026, 1, 5)
EVERY = [
    ".env.example",
    ".github/workflows/check.yaml",
    ".gitignore",
    "README.md",
    "definitions.py",
    "dg.toml",
    "own/__init__.py",
    "own/defs/__init__.py",
    "own/defs/chunks_by_tenant.py",
    "platform.yaml",
    "requirements.txt",
    "test_deployment.py",
    "workspace.yaml",
]

every_template = pytest.mark.parametrize("template", list(Template))


def written(template: Template, folder: Path) -> list[str]:
    return write_files(folder, template_files(template, today=TODAY, version="0.1.0"))


@every_template
def test_a_template_writes_what_a_deployment_needs(template: Template, tmp_path: Path) -> None:
    files = written(template, tmp_path / "new")
    found = [p.relative_to(tmp_path / "new") for p in (tmp_path / "new").rglob("*") if p.is_file()]
    assert sorted(files) == sorted(path.as_posix() for path in found)
    assert set(EVERY) < set(files)
    texts = {p: (tmp_path / "new" / p).read_bytes() for p in files}
    assert [path for path, text in texts.items() if b"<<" in text] == []


@every_template
def test_the_settings_are_valid_and_every_row_of_the_sample_can_land(
    template: Template, tmp_path: Path
) -> None:
    written(template, tmp_path)
    reading = read_deployment(tmp_path / "platform.yaml", {})
    assert look(reading, connect=False).problems == []
    settings = reading.whole()
    assert settings.start_date == TODAY
    assert settings.indexes.backends == ("milvus", "pinecone")
    platform = Platform(settings)
    (name,) = settings.sources
    fields = settings.sources[name].fields
    rows = list(platform.source(name).read(DayWindow(TODAY)))
    assert len(rows) >= 10
    assert all(isinstance(row, SourceRow) for row in rows)
    columns = [fields.key, fields.text, fields.title, *fields.attribute_columns.values()]
    columns += [fields.tenant] if isinstance(fields.tenant, str) else []
    for row in rows:
        assert isinstance(row, SourceRow)
        assert all(row.values[column] for column in columns if column), row.place
    assert len({row.values[fields.key] for row in rows if isinstance(row, SourceRow)}) == len(rows)


@every_template
def test_every_yaml_file_is_one_and_the_workflow_needs_no_secret(
    template: Template, tmp_path: Path
) -> None:
    for path in some(path for path in written(template, tmp_path) if path.endswith(".yaml")):
        text = (tmp_path / path).read_text(encoding="utf-8")
        assert isinstance(yaml.safe_load(text), dict)
        assert "secrets." not in text


@pytest.mark.parametrize("there", ["platform.yaml", "own", ".gitignore"])
def test_nothing_is_written_where_a_file_is_there(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine", encoding="utf-8")
    with pytest.raises(AlreadyThere, match=rf"nothing was written.*{there}"):
        written(Template.DOCS, tmp_path)
    assert os.listdir(tmp_path) == [there]  # noqa: PTH208 also what is hidden
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "README.md").symlink_to(tmp_path / "elsewhere.md")
    with pytest.raises(AlreadyThere, match=r"README\.md"):
        written(Template.DOCS, tmp_path / "new")
    assert not (tmp_path / "elsewhere.md").exists()


def test_a_file_where_the_folder_goes_is_named(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("mine", encoding="utf-8")
    with pytest.raises(AlreadyThere):
        written(Template.CSV, tmp_path / "new")


def test_other_files_of_the_folder_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert "notes.txt" not in written(Template.SQL, tmp_path)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_file_of_statements_becomes_the_database_they_make(tmp_path: Path) -> None:
    written(Template.SQL, tmp_path)
    database = sqlite3.connect(tmp_path / "data" / "support.db")
    assert database.execute("SELECT count(*) FROM tickets").fetchone() == (10,)
    database.close()


def test_only_values_of_the_deployment_are_filled_in(tmp_path: Path) -> None:
    files = template_files(Template.SQL, today=TODAY, version="0.1.0")
    assert "reader:${TICKETS_PASSWORD}@" in files["platform.yaml"]
    assert "vector-platform[standard]==0.1.0" in files["requirements.txt"]
