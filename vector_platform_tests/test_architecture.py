"""The floor plan, enforced: import contracts, and what a light command must not pay for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIGHT = [
    "vector_platform.cli",
    "vector_platform.wiring",
    "vector_platform.indexes.sync.sync",
    "vector_platform.quality.drift.verdict",
    "vector_platform.quality.pictures.plots",
    "vector_platform.quality.pictures.check_pictures",
    "vector_platform.quality.retrieval.measures",
    "vector_platform.serving.searcher",
    "vector_platform.lake.lake",
]
HEAVY = ("torch", "sentence_transformers", "openvino", "matplotlib", "pymilvus", "pinecone")


@pytest.mark.deep
def test_every_room_imports_only_what_the_floor_plan_lets_it() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports; exit(lint_imports(no_cache=True))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_importing_a_light_module_loads_no_heavy_library() -> None:
    """All in one process: what none of them loads, none alone loads."""
    code = (
        "import importlib, sys\n"
        f"for module in {LIGHT!r}:\n"
        "    importlib.import_module(module)\n"
        f"    print(module, *[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == LIGHT


def test_every_module_opens_with_its_charter() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "vector_platform").rglob("*.py"))
        if path.read_text(encoding="utf-8").strip()
        and not path.read_text(encoding="utf-8").lstrip().startswith('"""')
    ]
    assert silent == []


def test_every_room_says_at_its_door_what_belongs_there_and_what_does_not() -> None:
    doors = sorted((ROOT / "vector_platform").glob("*/__init__.py"))
    said = {door.parent.name: door.read_text(encoding="utf-8") for door in doors}
    assert [
        room
        for room, text in said.items()
        if "\nBelongs here: " not in text or not re.search(r"Does\s+not\s+belong\s+here:", text)
    ] == []


def test_a_file_of_orchestration_that_knows_nothing_of_dagster_is_not_there() -> None:
    room = ROOT / "vector_platform" / "orchestration"
    knows = re.compile(
        r"^\s*(?:import|from) (?:dagster|vector_platform\.orchestration)", re.MULTILINE
    )
    plain = [
        str(path.relative_to(room))
        for path in sorted(room.rglob("*.py"))
        if path.name != "__init__.py" and not knows.search(path.read_text(encoding="utf-8"))
    ]
    assert plain == []


def test_a_room_holds_a_dozen_files_beside_its_sub_rooms() -> None:
    rooms = {path.parent for path in (ROOT / "vector_platform").rglob("__init__.py")}
    files = {room: [p for p in room.glob("*.py") if p.name != "__init__.py"] for room in rooms}
    assert [str(room) for room, held in files.items() if len(held) > 12] == []


def test_a_file_of_more_than_300_lines_says_why_it_is_long() -> None:
    texts = {
        path: path.read_text(encoding="utf-8")
        for folder in ("vector_platform", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert [
        str(path)
        for path, text in texts.items()
        if text.count("\n") > 300 and not re.search(r"\blong", text.split('"""')[1], re.IGNORECASE)
    ] == []
