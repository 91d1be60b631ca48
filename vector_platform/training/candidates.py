"""Challengers: what may be trained on, what judges, and the refusal of one that does not win.

Belongs here: judgements from golden queries and feedback, the split by document, the pool that
both sides search, and the paired comparison.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_platform.errors import ContractError, RefusedByPolicy, TerminalError
from vector_platform.lake.contract import hash_text
from vector_platform.lake.lake import Lake
from vector_platform.models.base import Embedder, Vectors
from vector_platform.models.derived.aligning import matrix_of
from vector_platform.quality.exact import best_per_document
from vector_platform.quality.retrieval.comparison import Comparison, compare_reports
from vector_platform.quality.retrieval.measures import METRICS, GoldenSet, evaluate
from vector_platform.training.pairs import Pair

# With fewer, nothing can be learnt that holds beyond them; with fewer to judge, nothing is seen.
MIN_TRAINED = 30
MIN_JUDGED = 20
# Chunks of the documents of the judgements that are looked at; beyond, documents are left out.
MAX_CHUNKS = 20_000
TOP_K = 10


class ChallengerRefused(RefusedByPolicy):
    """A trained model version does not win on every gated metric; it is not proposed."""


class NothingToLearn(TerminalError):
    """There are too few judgements to train on or to judge with."""


@dataclass(frozen=True, order=True)
class Judgement:
    """That a document answers a query (gain above 0), or does not."""

    query: str
    doc_id: str
    gain: int


@dataclass(frozen=True)
class Split:
    """Judgements to train on, and queries that judge: of different documents.

    Attributes:
        trained: Judgements with a positive gain whose documents no held-out query asks for.
        held_out: Queries whose answers are all held out.
    """

    trained: tuple[Judgement, ...]
    held_out: GoldenSet


@dataclass(frozen=True)
class Pool:
    """Contents among which both sides look for the answers of the held-out queries.

    Attributes:
        doc_ids: Document of each chunk.
        rows: Row of each chunk's content in `texts`.
        content_hashes: Contents, sorted.
        texts: What a model sees of each.
    """

    doc_ids: tuple[str, ...]
    rows: npt.NDArray[np.intp]
    content_hashes: tuple[str, ...]
    texts: tuple[str, ...]


def read_feedback(file: Path) -> list[Judgement]:
    """Feedback of readers: one JSON object a line with `query`, `doc_id` and `label`.

    Raises:
        ContractError: Lines that are something else; all of them, with what is wrong.
    """
    problems: list[str] = []
    found: list[Judgement] = []
    if not file.is_file():
        raise ContractError("feedback", [f"retraining.feedback: {file} is no file"])
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            query, doc_id, label = row["query"], row["doc_id"], row["label"]
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"line {number}: {type(error).__name__}: {error}")
            continue
        if not (isinstance(query, str) and query.strip() and isinstance(doc_id, str)):
            problems.append(f"line {number}: query and doc_id must be texts that are not empty")
        elif isinstance(label, bool) or not isinstance(label, int):
            problems.append(f"line {number}: label must be a whole number, 0 for no answer")
        else:
            found.append(Judgement(query, doc_id, label))
    if problems:
        raise ContractError(f"feedback {file.name}", problems)
    return found


def collect_judgements(golden: pa.Table, feedback: Sequence[Judgement] = ()) -> list[Judgement]:
    """Golden queries and feedback together, sorted; feedback has the last word on a pair."""
    known = {(row["text"], row["doc_id"]): row["gain"] for row in golden.to_pylist()}
    known |= {(one.query, one.doc_id): one.gain for one in sorted(feedback)}
    return sorted(Judgement(query, doc_id, gain) for (query, doc_id), gain in known.items())


def split_by_document(judgements: Sequence[Judgement], held_out_share: float) -> Split:
    """Hold documents out by the hash of their id, and with them every query that asks for one.

    A query with answers on both sides neither trains nor judges.

    Raises:
        NothingToLearn: One of the sides is too small.
    """
    answers: dict[str, dict[str, int]] = {}
    for one in judgements:
        answers.setdefault(one.query, {})[one.doc_id] = one.gain
    trained: list[Judgement] = []
    judged: dict[str, dict[str, int]] = {}
    for query, gains in answers.items():
        wanted = [doc_id for doc_id, gain in gains.items() if gain > 0]
        sides = {drawn(doc_id, held_out_share) for doc_id in wanted}
        if sides == {True}:
            judged[query] = gains
        elif sides == {False}:
            trained += [Judgement(query, doc_id, gains[doc_id]) for doc_id in wanted]
    if len(trained) < MIN_TRAINED or len(judged) < MIN_JUDGED:
        raise NothingToLearn(
            f"{len(trained)} judgements to train on and {len(judged)} queries to judge with are "
            f"too few ({MIN_TRAINED} and {MIN_JUDGED} are needed): add golden queries or feedback"
        )
    order = tuple(sorted(judged))
    return Split(
        tuple(sorted(trained)), GoldenSet(order, order, tuple([None] * len(order)), judged)
    )


def training_pairs(
    lake: Lake, base: Embedder, judgements: Sequence[Judgement]
) -> tuple[list[Pair], Vectors, Vectors, npt.NDArray[np.intp]]:
    """Judgements as pairs: of each document the chunk that is nearest to the query by now.

    Returns:
        The pairs, their queries' vectors, the vectors of all texts, and each pair's row in them.
    """
    chunks = lake.sample_contents(
        base.name,
        chunks_version=lake.chunks.version(),
        rows=MAX_CHUNKS,
        doc_ids=sorted({one.doc_id for one in judgements}),
    )
    pool = _pool(chunks)
    vectors = _stored(lake, base.name, pool.content_hashes)
    rows_of: dict[str, list[int]] = {}
    for doc_id, row in zip(pool.doc_ids, pool.rows.tolist(), strict=True):
        rows_of.setdefault(doc_id, []).append(row)
    known = [one for one in judgements if one.doc_id in rows_of]
    texts = sorted({one.query for one in known})
    place = {query: row for row, query in enumerate(texts)}
    asked = base.encode_queries(texts)[[place[one.query] for one in known]]
    answers = np.array(
        [
            rows_of[one.doc_id][int(np.argmax(vectors[rows_of[one.doc_id]] @ query))]
            for one, query in zip(known, asked, strict=True)
        ],
        dtype=np.intp,
    )
    pairs = [
        Pair(one.query, pool.texts[row], one.doc_id)
        for one, row in zip(known, answers, strict=True)
    ]
    return pairs, asked, vectors, answers


def choose_pool(lake: Lake, base: str, golden: GoldenSet, contents: int) -> Pool:
    """The answers of the held-out queries, and random documents to tell them from."""
    version = lake.chunks.version()
    doc_ids = sorted({doc_id for gains in golden.qrels.values() for doc_id in gains})
    answers = lake.sample_contents(base, chunks_version=version, rows=MAX_CHUNKS, doc_ids=doc_ids)
    others = lake.sample_contents(base, chunks_version=version, rows=contents)
    missing = max(0, contents - answers.num_rows)
    return _pool(pa.concat_tables([answers, others.slice(0, missing)]))


def compare_models(
    lake: Lake, champion: Embedder, challenger: Embedder, golden: GoldenSet, pool: Pool
) -> dict[str, Comparison]:
    """Both models' rankings of the pool, paired by query: one comparison a gated metric.

    A side whose vectors are in the lake is not asked for them again.
    """

    def rankings(model: Embedder, vectors: Vectors) -> Any:
        asked = model.encode_queries(list(golden.texts))
        chunks = list(zip(pool.doc_ids, pool.rows.tolist(), strict=True))
        return evaluate(
            [
                best_per_document(((doc_id, float(row[at])) for doc_id, at in chunks), TOP_K)
                for row in asked @ vectors.T
            ],
            golden,
        )

    stored = _stored(lake, champion.name, pool.content_hashes)
    same = challenger.fingerprint.lineage or {}
    vectors = (
        stored
        if same.get("vectors_of") == champion.name
        else challenger.encode_documents(list(pool.texts))
    )
    before, after = rankings(champion, stored), rankings(challenger, vectors)
    return {metric: compare_reports(before, after, metric=metric) for metric in METRICS}


def demand_a_win(name: str, comparisons: Mapping[str, Comparison]) -> None:
    """Refuse a challenger that is not better on every gated metric.

    Raises:
        ChallengerRefused: Names every metric with its numbers.
    """
    if any(one.verdict != "better" for one in comparisons.values()):
        raise ChallengerRefused(
            f"{name} is not proposed: on queries of held-out documents it must be better on every "
            f"gated metric, and is {describe(comparisons)}"
        )


def drawn(doc_id: str, share: float, *, salt: str = "") -> bool:
    """Whether a document is in a share that its id's hash decides; other salts, other shares."""
    return int(hash_text(salt + doc_id)[:8], 16) < share * 2**32


def describe(comparisons: Mapping[str, Comparison]) -> str:
    """One clause a metric, for people."""
    return "; ".join(
        f"{one.verdict} on {metric} ({one.difference.mean:+.4f}, 95 % {one.difference.low:+.4f} "
        f"to {one.difference.high:+.4f}, {one.difference.count} queries)"
        for metric, one in comparisons.items()
    )


def _pool(chunks: pa.Table) -> Pool:
    rows = chunks.select(["doc_id", "content_hash", "text"]).to_pylist()
    texts = {row["content_hash"]: row["text"] for row in rows}
    hashes = tuple(sorted(texts))
    place = {content_hash: row for row, content_hash in enumerate(hashes)}
    pairs = sorted({(row["doc_id"], place[row["content_hash"]]) for row in rows})
    return Pool(
        doc_ids=tuple(doc_id for doc_id, _ in pairs),
        rows=np.array([row for _, row in pairs], dtype=np.intp),
        content_hashes=hashes,
        texts=tuple(texts[content_hash] for content_hash in hashes),
    )


def _stored(lake: Lake, model_version: str, hashes: Sequence[str]) -> Vectors:
    """Stored vectors of contents, in the order of their hashes."""
    table = lake.vectors_of(model_version, hashes)
    dimension = lake.model_version(model_version).dimension
    return matrix_of(table.column("vector").combine_chunks(), dimension)
