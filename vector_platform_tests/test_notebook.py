"""A deployment in a notebook: the notebooks of the documentation, run as they stand there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vector_platform.notebook import HIT_COLUMNS, Platform
from vector_platform_tests.integration.deployments import STATIC, WORDS, Deployment, running
from vector_platform_tests.some import some

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "docs" / "notebooks"
HEAVY = ["pydantic", "dagster", "pandas", "pyarrow", "vector_platform.wiring"]


def test_importing_the_package_imports_nothing_else() -> None:
    program = (
        "import sys, vector_platform\n"
        f"assert not [name for name in {HEAVY!r} if name in sys.modules]\n"
        "from vector_platform import Platform\n"
        "assert Platform.__module__ == 'vector_platform.notebook'\n"
        "from vector_platform import Scope, Searcher\n"
        "assert Searcher.__module__ == 'vector_platform.notebook'\n"
        "assert Scope.of().is_empty\n"
        "assert 'dagster' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import vector_platform

    with pytest.raises(AttributeError, match="no attribute 'Plattform'"):
        getattr(vector_platform, "Plat" + "tform")


def test_every_notebook_is_kept_without_what_a_run_has_left() -> None:
    for path in some(NOTEBOOKS.glob("*.ipynb")):
        for cell in some(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            assert cell.get("outputs", []) == [], path
            assert cell.get("execution_count") is None, path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("notebook")
    (root / "pages").mkdir()
    (root / "pages" / "brakes.md").write_text(
        "# Brakes\n\nA spongy brake lever means air in the line.\n", encoding="utf-8"
    )
    sources = {
        "handbook": {"kind": "files", "path": "pages"},
        "tickets": {
            "kind": "frame",
            "fields": {"key": "id", "title": "subject", "text": "body"},
        },
    }
    indexes = {"milvus": {"uri": "local"}, "pinecone": None}
    with running(root, sources=sources, models={WORDS: STATIC}, indexes=indexes) as deployment:
        yield deployment


@pytest.mark.integration
@pytest.mark.deep
def test_the_notebooks_do_what_they_say(home: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.root)
    monkeypatch.setenv("VECTOR_PLATFORM_CONFIG", str(home.file))
    landed = cells_of("land-a-frame")
    assert (landed["again"]["inserted"], landed["again"]["removed"]) == (0, 0)
    assert list(landed["hits"]["doc_id"]) == ["tickets:t1"]
    searched = cells_of("search")
    assert searched["hits"]["doc_id"][0] == "handbook:brakes.md"
    assert tuple(searched["hits"].columns) == HIT_COLUMNS
    assert searched["hits"].attrs["model_version"] == WORDS
    from vector_platform import Scope, Searcher

    with Searcher(home.file) as searcher:
        tenant = searched["hits"]["tenant"][0]
        answer = searcher.search("the brake lever feels spongy", scope=Scope.of(tenant))
        assert answer.hits[0].doc_id == "handbook:brakes.md"
    # A frame that a failed reading hands over is not remembered.
    platform = Platform(home.file)
    with pytest.raises(Exception, match="no frame"):
        platform.land("tickets", "a text")
    assert platform.lake.chunks.read().num_rows == 3


def cells_of(name: str) -> dict[str, Any]:
    """Run the cells of a notebook one after the other. Returns what they leave behind."""
    notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), name, "exec"), names)
    return names
