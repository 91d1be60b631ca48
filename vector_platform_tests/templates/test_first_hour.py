"""The first hour of a user who has the wheel, an empty folder, and nothing of the checkout."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from vector_platform.cli.init import QUESTIONS
from vector_platform.templates.writing import Template
from vector_platform_tests.docs.blocks import blocks_of
from vector_platform_tests.docs.pages import play
from vector_platform_tests.installed import ROOT, Installation, install
from vector_platform_tests.integration.conftest import free_port

pytestmark = [pytest.mark.integration, pytest.mark.deep]

ANSWERS = {
    Template.DOCS: "handbook:brakes.md",
    Template.CSV: "notes:n9",
    Template.SQL: "tickets:t6",
    Template.API: "articles:a4",
}
TUTORIAL = blocks_of(ROOT / "docs" / "ten-minutes.md")
FIRST = [block for block in blocks_of(ROOT / "README.md") if "vector-platform init" in block.text]
PATIENCE_SECONDS = 180


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("installed"))


@contextmanager
def deployment(installed: Installation, root: Path, template: Template) -> Iterator[Path]:
    """What `init` makes of a template, with its servers."""
    home = root / "mine"
    installed.says("vector-platform", "init", "mine", "--template", template.value, cwd=root)
    try:
        yield home
    finally:
        installed.run("vector-platform", "services", "down", cwd=home)


def test_the_wheel_is_what_is_imported(installed: Installation, tmp_path: Path) -> None:
    script = "import sys, vector_platform; print(vector_platform.__file__, *sys.path)"
    places = installed.says("python", "-c", script, cwd=tmp_path).split()
    assert Path(places[0]).is_relative_to(installed.folder)
    assert str(ROOT) not in places


@pytest.mark.parametrize("template", list(Template))
def test_from_an_empty_folder_to_an_answer(
    template: Template, installed: Installation, tmp_path: Path
) -> None:
    with deployment(installed, tmp_path, template) as home:
        installed.says("vector-platform", "config", "check", cwd=home)
        said = installed.says("vector-platform", "run", cwd=home)
        assert "0 rejected" in said
        assert said.count("is now live") == 2
        found = installed.says(
            "vector-platform", "search", QUESTIONS[template], "-k", "1", "--json", cwd=home
        )
        hits = [result["hits"][0]["doc_id"] for result in json.loads(found)]
        assert hits == [ANSWERS[template]] * 2
        again = installed.says("vector-platform", "run", cwd=home)
        assert "chunks: up to date" in again


def test_its_own_test_passes_and_dg_knows_it(installed: Installation, tmp_path: Path) -> None:
    with deployment(installed, tmp_path, Template.DOCS) as home:
        passed = installed.says("python", "-m", "pytest", "-q", cwd=home)
        assert re.search(r"^2 passed", passed, re.MULTILINE)
        assert "loaded successfully" in installed.says("dg", "check", "defs", cwd=home)
        installed.says("dg", "scaffold", "defs", "dagster.asset", "more.py", cwd=home)
        assert (home / "own" / "defs" / "more.py").is_file()
        with dg_dev(installed, home) as asked:
            assets = {"/".join(node["assetKey"]["path"]) for node in asked["assetNodes"]}
        assert {"raw/handbook", "milvus/documents", "chunks_by_tenant", "more"} <= assets


def test_the_tutorial_does_what_it_says(installed: Installation, tmp_path: Path) -> None:
    try:
        assert list(play(TUTORIAL, installed, tmp_path)) == []
    finally:
        installed.run("vector-platform", "services", "down", cwd=tmp_path / "mine")


def test_the_first_screen_of_the_readme_does_what_it_says(
    installed: Installation, tmp_path: Path
) -> None:
    (doing,) = FIRST
    assert doing.mark == "deep"
    try:
        assert list(play([doing], installed, tmp_path)) == []
    finally:
        installed.run("vector-platform", "services", "down", cwd=tmp_path / "mine")


@contextmanager
def dg_dev(installed: Installation, home: Path) -> Iterator[dict[str, Any]]:
    """`dg dev`, and what its web server says of the assets."""
    port = free_port()
    with (home / "dg.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(installed.scripts / "dg"), "dev", "--port", str(port)],
            cwd=home,
            env=installed.environ,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield answered(port, process, home / "dg.log")
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)


def answered(port: int, process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    query = json.dumps({"query": "{ assetNodes { assetKey { path } } }"}).encode()
    url = f"http://127.0.0.1:{port}/graphql"
    headers = {"Content-Type": "application/json"}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urlopen(Request(url, query, headers), timeout=30) as answer:
                found: dict[str, Any] = json.load(answer)["data"]
        except (URLError, ConnectionError):
            time.sleep(0.2)
            continue
        if found["assetNodes"]:
            return found
    raise AssertionError(log.read_text(encoding="utf-8"))
