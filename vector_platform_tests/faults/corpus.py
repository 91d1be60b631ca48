"""A small corpus that changes by a seed, and what an index must hold of it.

Belongs here: the documents, every kind of change to them, and their way into a lake.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from vector_platform.lake.lake import Lake
from vector_platform_tests.lake.building import chunk, embed, put

DIMENSION = 8
TENANTS = ("acme", 'it\'s "quoted"', "über/東京", "globex")
# Longer than a VARCHAR of Milvus and than a document of Pinecone: both refuse the row for itself.
HOPELESS_CHARACTERS = 70_000

Corpus = dict[str, dict[str, Any]]


def first_corpus(rng: random.Random, size: int = 60) -> Corpus:
    corpus: Corpus = {}
    while len(corpus) < size:
        add(corpus, rng)
    return corpus


def changed(corpus: Corpus, rng: random.Random) -> Corpus:
    """The corpus after a few changes of every kind; it keeps between 40 and 100 documents."""
    after = dict(corpus)
    for row_id in rng.sample(sorted(after), 4):
        del after[row_id]
    for change in (new_text, new_attributes, new_tenant):
        for row_id in rng.sample(sorted(after), rng.randint(1, 4)):
            after[row_id] = change(after[row_id], rng)
    for _ in range(rng.randint(2, 6) if len(after) < 80 else 1):
        add(after, rng)
    if rng.random() < 0.3:
        row_id = rng.choice(sorted(after))
        after[row_id] = hopeless(after[row_id])
    return after


def add(corpus: Corpus, rng: random.Random) -> None:
    """Put one more document in."""
    number = rng.randrange(10**6)
    row = _row(f"s:{number:06}", _text(rng), rng.choice(TENANTS), {"tags": ["new", "ü"]})
    corpus[row["chunk_id"]] = row


def new_text(row: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    return _row(row["doc_id"], _text(rng), row["tenant"], json.loads(row["attributes"]))


def new_attributes(row: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    return _row(row["doc_id"], row["text"], row["tenant"], {"price": rng.randrange(10**6)})


def new_tenant(row: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    others = [tenant for tenant in TENANTS if tenant != row["tenant"]]
    return _row(row["doc_id"], row["text"], rng.choice(others), json.loads(row["attributes"]))


def hopeless(row: dict[str, Any]) -> dict[str, Any]:
    return _row(row["doc_id"], "x" * HOPELESS_CHARACTERS, row["tenant"], {})


def is_hopeless(row: dict[str, Any]) -> bool:
    return len(row["text"]) >= HOPELESS_CHARACTERS


def publish(lake: Lake, corpus: Corpus, models: list[str]) -> None:
    """Make the lake hold exactly the corpus, every content embedded by every model."""
    stored = {row["chunk_id"]: row for row in lake.chunks.read().to_pylist()}
    fresh = [row for row_id, row in corpus.items() if stored.get(row_id) != row]
    put(lake, *fresh, delete=[row_id for row_id in stored if row_id not in corpus])
    for model in models:
        embed(lake, model, dimension=DIMENSION)


def save(corpus: Corpus, path: Path) -> None:
    path.write_text(json.dumps(corpus))


def load(path: Path) -> Corpus:
    corpus: Corpus = json.loads(path.read_text())
    return corpus


def _text(rng: random.Random) -> str:
    return f"a passage about {rng.randrange(10**9)}"


def _row(doc_id: str, text: str, tenant: str, attributes: dict[str, Any]) -> dict[str, Any]:
    return chunk(doc_id, text, title="A title", tenant=tenant, attributes=attributes)
