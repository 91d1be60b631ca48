"""The worked example of a backend in `docs/contributing.md`: one folder and one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vector_platform_tests.worked_examples import change_package, example, run_changed

FOLDER = "vector_platform/indexes/backends/memory"
SETTINGS = """
start_date: 2026-11-01
sources: {notes: {kind: files, path: notes}}
models: {tiny.v1: {package: wordllama, kind: static}}
indexes: {milvus: null, pinecone: null, memory: {batch_rows: 2}}
"""
# Three rows become an index, are proven, found, and one is taken away again.
STORY = """
import json
import sys
from pathlib import Path
from vector_platform.indexes.contract import Scope
from vector_platform.wiring import Platform
from vector_platform_tests.lake.building import MODEL, chunk, embed, put, vector_of

platform = Platform.load(Path(sys.argv[1]))
put(platform.lake, *(chunk(f"s:{n}", f"text {n}") for n in range(3)))
embed(platform.lake)
sync = platform.index_sync("memory", run_id="first")
sync.sync(MODEL)
put(platform.lake, chunk("s:3", "text 3"), delete=["s:0#0"])
embed(platform.lake)
sync.sync(MODEL, allow_delete=1)
state = sync.states.newest(MODEL)
(found,) = platform.target("memory").search(
    state.identity, vector_of(MODEL, "text 3"), k=1, scope=Scope.all_tenants()
)
print(json.dumps({
    "settings": platform.settings.model_dump(mode="json")["indexes"],
    "backends": platform.settings.indexes.backends,
    "spec": json.loads(state.spec),
    "rows": state.rows,
    "clean": sync.verify(state).clean,
    "found": found.id,
}))
"""
# A file with two mistakes, and one in the environment.
MISTAKES = """
import sys
from pathlib import Path
from vector_platform.settings import SettingsError
from vector_platform.wiring import load_settings

try:
    load_settings(Path(sys.argv[1]), {"VECTOR_PLATFORM_INDEXES__MEMORY__IDS_ARE_GLOBAL": "maybe"})
except SettingsError as error:
    print(*(problem.partition(":")[0] for problem in error.problems), sep="\\n")
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the example's backend."""
    root = tmp_path_factory.mktemp("package")
    changed = change_package(example("Add a backend"), root)
    assert changed == [
        f"{FOLDER}/settings.py",
        f"{FOLDER}/index.py",
        f"{FOLDER}/opening.py",
        f"{FOLDER}/__init__.py",
        "vector_platform/indexes/registry.py",
    ]
    return root


def test_the_example_of_a_backend_is_synced_proven_and_searched(
    package: Path, tmp_path: Path
) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text(SETTINGS, encoding="utf-8")
    (told,) = run_changed(package, STORY, str(file))
    assert json.loads(told) == {
        "settings": {
            "name": "documents",
            "memory": {"batch_rows": 2, "ids_are_global": False},
            "milvus": None,
            "pinecone": None,
        },
        "backends": ["memory"],
        "spec": {"ids_are_global": False},
        "rows": 3,
        "clean": True,
        "found": "s:3#0",
    }


def test_mistakes_in_the_section_of_the_example_are_told_with_all_others(
    package: Path, tmp_path: Path
) -> None:
    file = tmp_path / "platform.yaml"
    text = SETTINGS.replace("batch_rows: 2", "batch_rows: many") + "surprise: 1\n"
    file.write_text(text, encoding="utf-8")
    assert run_changed(package, MISTAKES, str(file)) == [
        "indexes.memory.batch_rows",
        "indexes.memory.ids_are_global",
        "surprise",
    ]
