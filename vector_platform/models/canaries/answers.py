"""Canaries: texts whose vectors are known, to notice a model that no longer answers as it did.

Belongs here: which texts, how far answers may differ when nothing has changed, and the comparison.

A fingerprint is read from files, so it misses whatever files do not show: a library that computes
otherwise, another precision, a model served behind an unchanged name. Answers do not. Texts are of
every length, up to longer than the model's window, because a change of the window touches only the
longest; some are of many scripts, because a change of the tokenizer touches only some writing.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from vector_platform.models.base import Embedder, Vectors
from vector_platform.models.errors import ModelError
from vector_platform.models.identity.fingerprint import ENDPOINT

# Texts of the corpus: where it is smaller, ladders of the sentences below take their place.
FROM_CORPUS = 24
LONGER_THAN_WINDOW = 4
# A window beyond this is not filled: it would cost more than a change of it can hide.
LONGEST_WINDOW = 2048
# English text has four to five characters a token; eight are more than the window's tokens.
CHARACTERS_A_TOKEN = 8

# Benign repetitions differ by rounding: a sum of a few hundred float32 products moves a component
# of a unit vector by some 1e-7 (measured 3e-7 with MiniLM). The floor is 30 times that, the least
# mutation of interest (weights rounded to bfloat16) 400 times the floor.
FLOOR = 1e-5
# With bfloat16 weights a component is rounded to 8 bits, so benign shapes differ by up to 1e-3. An
# endpoint may run on any processor, in half precision.
BF16_FLOOR = 1e-3
# The learnt spread is the largest of a few repetitions; later ones may exceed it somewhat.
SAFETY = 4.0
# A model whose answers to one text differ by more than this cannot be told from another model.
LARGEST_TOLERANCE = 0.05
# Another processor or library release adds in another order: ten times the floor.
ACROSS_RUNTIMES = 10.0
# The largest difference between components of two unit vectors: stands for "no vector at all".
MAX_DIFFERENCE = 2.0

_WRITING = (
    "Straße, naïve café, Ångström, İstanbul: accents and CASE are kept or folded by the tokenizer.",
    "数据平台 把 文本 变成 向量。 日本語の文章もあります。 한국어 문장도 있습니다.",
    "Ποιότητα ανάκτησης; Качество поиска! جودة الاسترجاع؟ איכות האחזור.",
    'def f(x): return {"id": x[0], "share": 3.14e-7} if x else None  # a comment\n\tindent()',
    "CVE-2026-0001 affects v1.2.3-rc.4+build.567 on 10.0.0.1:8443, 99.9 % of 1,048,576 requests.",
    "supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis qwxzjkv",
    "a",
    "THE SAME WORDS IN CAPITALS, then the same words in capitals... (again) [and again] 🚀🔥",
)
_SENTENCES = (
    "The certificate of the gateway expires in thirty days and must be renewed.",
    "A customer asks why the invoice shows the same item twice.",
    "Rain is expected in the north, with strong wind along the coast.",
    "The committee approved the budget after a long debate.",
    "Simmer the onions in butter until they are soft and golden.",
    "An index holds the vectors of every passage and finds the nearest.",
    "The patient reports pain in the left knee after running.",
    "Gravity bends the path of light around a massive star.",
    "Send the signed contract to the legal department before Friday.",
    "The striker scored twice in the last ten minutes of the match.",
    "Old bridges are inspected every two years for cracks in the steel.",
    "The library lends books, films and musical instruments to its members.",
    "Prices of copper rose because two mines stopped production.",
    "Children learn a second language faster when they hear it daily.",
    "The engine overheats when the coolant pump fails.",
    "Bees find their way back to the hive by the position of the sun.",
    "The museum shows paintings that were thought to be lost.",
    "A firewall rule blocks traffic from unknown networks.",
    "The train to the airport leaves every fifteen minutes.",
    "Whoever translates poetry must choose between sound and meaning.",
    "The soil needs lime before anything is planted in it.",
    "Two witnesses described the car differently.",
    "The satellite measures the height of the waves from orbit.",
    "Please restart the printer and try again.",
)


SCRIPTS, CORPUS, LONGER = "many scripts", "corpus, short to long", "beyond the window"


@dataclass(frozen=True)
class CanarySet:
    """Canaries of a model version with the vectors it gave them in one runtime.

    Attributes:
        runtime: Processor and libraries that computed, see `runtime_of`.
        texts: In a fixed order.
        vectors: float32, one row a text.
        tolerance: Largest difference of a component that is no change, in the same runtime.
    """

    runtime: str
    texts: tuple[str, ...]
    vectors: Vectors
    tolerance: float


@dataclass(frozen=True)
class Deviation:
    """How far a model's answers are from the known ones.

    Attributes:
        max_abs_difference: Largest difference of a component.
        differing: Positions of the canaries beyond the tolerance, the farthest first.
        tolerance: What was allowed.
        distances: Largest difference of a component of each canary.
        least_cosine: Between an answer and the known vector, of all canaries.
    """

    max_abs_difference: float
    differing: tuple[int, ...]
    tolerance: float
    distances: tuple[float, ...]
    least_cosine: float


def choose_texts(corpus: Sequence[str], *, max_tokens: int) -> tuple[str, ...]:
    """The canary texts: of many scripts, of every length of the corpus, longer than the window.

    The same corpus in any order gives the same texts.
    """
    ordered = sorted(set(corpus), key=lambda text: (len(text), text))
    places = np.linspace(0, len(ordered) - 1, min(FROM_CORPUS, len(ordered))).round().astype(int)
    sampled = [ordered[place] for place in sorted(set(places.tolist()))]
    ladders = [" ".join(_SENTENCES[: rung + 1]) for rung in range(FROM_CORPUS - len(sampled))]
    ordinary = [*sampled, *ladders]
    size = CHARACTERS_A_TOKEN * min(max_tokens, LONGEST_WINDOW)
    long = [_longer(ordinary[-1 - place :], size) for place in range(LONGER_THAN_WINDOW)]
    return (*_WRITING, *ordinary, *long)


def groups_of(count: int) -> tuple[str, ...]:
    """What each of so many chosen texts stands for, in their order."""
    ordinary = count - len(_WRITING) - LONGER_THAN_WINDOW
    return (SCRIPTS,) * len(_WRITING) + (CORPUS,) * ordinary + (LONGER,) * LONGER_THAN_WINDOW


def learn(embedder: Embedder, texts: Sequence[str]) -> CanarySet:
    """Embed the canaries, and again in other batches, in another order and on one thread.

    The tolerance is a multiple of the largest difference between these, at least the floor.

    Raises:
        ModelError: Answers are no numbers, or differ too much from one time to the next.
    """
    vectors = embedder.embed_few(texts)
    backwards = np.arange(len(texts))[::-1]
    halves = np.empty_like(vectors)
    for part in (backwards[::2], backwards[1::2]):
        halves[part] = embedder.embed_few([texts[place] for place in part])
    with _one_thread():
        alone = embedder.embed_few(texts)
    spread = float(np.abs(np.stack([halves, alone]) - vectors).max())
    tolerance = float(np.maximum(_floor(embedder), SAFETY * spread))  # NaN stays NaN
    if not tolerance <= LARGEST_TOLERANCE:
        raise ModelError(
            embedder.name,
            f"the same texts get vectors that differ by {spread:.2g} from one time to the next; "
            "a change of the model could not be noticed, so it is not registered",
        )
    return CanarySet(runtime_of(embedder), tuple(texts), vectors, tolerance)


def deviation(embedder: Embedder, known: CanarySet) -> Deviation:
    """Embed the canaries now and compare. In another runtime the tolerance is wider."""
    same = known.runtime == runtime_of(embedder)
    tolerance = known.tolerance * (1.0 if same else ACROSS_RUNTIMES)
    found = embedder.embed_few(known.texts)
    cosines = np.full(len(known.texts), -1.0)
    if found.shape != known.vectors.shape:
        distances = np.full(len(known.texts), MAX_DIFFERENCE)
    else:
        # Both are unit vectors.
        cosines = np.nan_to_num((found * known.vectors).sum(axis=1, dtype=np.float64), nan=-1.0)
        # What is no number (NaN, infinity) is as far away as anything can be.
        distances = np.nan_to_num(
            np.abs(found.astype(np.float64) - known.vectors).max(axis=1),
            nan=MAX_DIFFERENCE,
            posinf=MAX_DIFFERENCE,
        )
    order = np.argsort(-distances, kind="stable")
    differing = tuple(int(place) for place in order if distances[place] > tolerance)
    return Deviation(
        max_abs_difference=float(distances.max()),
        differing=differing,
        tolerance=tolerance,
        distances=tuple(distances.tolist()),
        least_cosine=float(np.clip(cosines, -1.0, 1.0).min()),
    )


def runtime_of(embedder: Embedder) -> str:
    """The processor and the releases of the libraries that do a model's arithmetic.

    Not the number of threads: the tolerance covers it. Of a model behind an endpoint nothing is
    known but that.
    """
    if embedder.fingerprint.backend == ENDPOINT:
        return ENDPOINT
    libraries = ["numpy", "tokenizers"]
    if embedder.fingerprint.kind != "static":
        libraries += [embedder.fingerprint.backend.split("-")[0], "transformers"]
    releases = ", ".join(f"{name} {_release(name)}" for name in libraries)
    return f"{platform.machine()}, {_processor()}; {releases}"


def _longer(texts: Sequence[str], characters: int) -> str:
    """The texts joined, again and again, cut after so many characters."""
    once = "\n".join(texts) + "\n"
    return (once * (characters // len(once) + 1))[:characters]


def _floor(embedder: Embedder) -> float:
    backend = embedder.fingerprint.backend
    return BF16_FLOOR if backend.endswith("bf16") or backend == ENDPOINT else FLOOR


def _release(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    """The processor's name where the system tells it."""
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


@contextmanager
def _one_thread() -> Iterator[None]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
