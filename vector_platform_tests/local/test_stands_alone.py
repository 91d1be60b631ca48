"""The Pinecone-compatible server is lifted out of the platform, and runs without it."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pinecone import Pinecone

import vector_platform.local.pinecone_server as inside
from vector_platform_tests.local.conftest import SCHEMA, document
from vector_platform_tests.some import some

FOLDER = Path(inside.__file__).parent
DOCKERFILE = Path(__file__).parents[2] / "docker" / "Dockerfile.pinecone-local"


def test_the_folder_alone_serves_the_sdk_under_another_name(tmp_path: Path) -> None:
    alone = tmp_path / "lifted_out"
    shutil.copytree(FOLDER, alone, ignore=shutil.ignore_patterns("__pycache__"))
    refuse_the_platform = (
        "import runpy, sys; sys.modules['vector_platform'] = None; "
        "runpy.run_module('lifted_out', run_name='__main__', alter_sys=True)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", refuse_the_platform, "--data", str(tmp_path / "d"), "--port", "0"],
        cwd=tmp_path,
        env={"OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        client = Pinecone(api_key="any", host=process.stdout.readline().split(" on ")[1].strip())
        client.indexes.create(name="documents", schema=SCHEMA)
        index = client.index(name="documents")
        index.documents.upsert(namespace="a", documents=[document("one")])
        assert [*index.documents.fetch(namespace="a", ids=["one"]).documents] == ["one"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_imports_nothing_but_itself_and_what_its_image_installs() -> None:
    installed = re.search(r"-c /opt/constraints.txt (.*) \\$", DOCKERFILE.read_text(), re.MULTILINE)
    assert installed is not None
    libraries = {*installed[1].split(), *sys.stdlib_module_names}
    assert {name for name in some(imported()) if name not in libraries} == set()
    assert installed[1] in (FOLDER / "README.md").read_text(encoding="utf-8")


def imported() -> set[str]:
    """Top-level names that any file of the folder imports from outside it, at load or later."""
    names: set[str] = set()
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                within = len(path.relative_to(FOLDER).parts)
                assert node.level <= within, f"{path} reaches above the folder"
                if node.level == 0:
                    names.add(str(node.module).partition(".")[0])
    return names
