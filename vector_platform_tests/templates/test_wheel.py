"""The wheel holds all that a deployment needs, and the page that begins with it is run."""

from __future__ import annotations

import zipfile
from pathlib import Path

from vector_platform_tests.installed import ROOT, build_wheel


def test_every_file_of_the_package_and_of_its_dbt_project_is_in_the_wheel(tmp_path: Path) -> None:
    packed = set(zipfile.ZipFile(build_wheel(tmp_path)).namelist())
    package = {f"vector_platform/{name}" for name in files_below(ROOT / "vector_platform")}
    project = {f"vector_platform/corpus/dbt_template/{one}" for one in files_below(ROOT / "dbt")}
    assert len(package) > 400
    assert sorted((package | project) - packed) == []


def files_below(folder: Path) -> list[str]:
    """The files of a folder that are the repository's."""
    made = {"__pycache__", "target", "logs", "dbt_packages"}
    below = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return [path.as_posix() for path in below if not made & set(path.parts)]
