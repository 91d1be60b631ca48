"""Serving a new model before its own vectors are there: the trial of an alignment.

Belongs here: the judgement on contents that the map has not seen, and the refusal.

What is embedded for the trial are true vectors of the new model: they go to its own partition,
where the true re-embedding finds them done.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.lake.lake import Lake
from vector_platform.models.base import Embedder, Vectors
from vector_platform.models.derived.aligning import matrix_of
from vector_platform.models.derived.vector_map import VectorMap, agreement, fit_alignment
from vector_platform.models.local_versions import keep_model, write_card
from vector_platform.quality.exact import best_per_document
from vector_platform.quality.retrieval.measures import GoldenSet, evaluate, golden_set
from vector_platform.settings import Alignment
from vector_platform.training.alignment_sample import (
    AlignmentRefused,
    Sample,
    TooFewContents,
    without,
)

# Golden queries whose answers are held out; with fewer, the new model itself is the judge.
MIN_QUERIES = 50
# Further contents among which the answers must be found. In a small pool every map looks good: one
# kept 97.5 % among 250 contents, 96.6 % of the same queries' quality among all 898, and 93.8 % of
# all queries'.
DISTRACTORS = 20_000
TOP_K = 10


@dataclass(frozen=True)
class Trial:
    """How a map does on held-out contents, with the new model's own vectors as the measure.

    Attributes:
        pairs: Contents that the map was fitted on.
        held_out: Contents that judge it, of other documents.
        agreement: nDCG@10 with the new model itself as the judge (`vector_map.agreement`).
        queries: Golden queries whose answers are held out.
        metric: Their metric.
        old: Value with the old model's queries and vectors.
        aligned: Value with the new model's queries and aligned vectors.
        new: Value with the new model's queries and vectors.
        method: Kind of map that was chosen.
    """

    pairs: int
    held_out: int
    agreement: float
    queries: int
    metric: str
    old: float
    aligned: float
    new: float
    method: str

    @property
    def judged_by_queries(self) -> bool:
        """Whether golden queries decide; else the agreement does."""
        return self.queries >= MIN_QUERIES and self.new > 0

    @property
    def kept(self) -> float:
        """Share of the new model's quality that is kept: what the floor is held against."""
        return self.aligned / self.new if self.judged_by_queries else self.agreement

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata, the card and JSON."""
        rounded = {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }
        judge = self.metric if self.judged_by_queries else "agreement"
        return {"kept": round(self.kept, 6), "judged_by": judge, **rounded}

    def describe(self) -> str:
        """One line for people."""
        if self.judged_by_queries:
            judged = (
                f"{self.kept:.1%} of the new model's {self.metric} on {self.queries} golden "
                f"queries (old {self.old:.3f}, aligned {self.aligned:.3f}, "
                f"new {self.new:.3f})"
            )
        else:
            judged = f"{self.kept:.1%} agreement with the new model's neighbours"
        return (
            f"{judged}; agreement {self.agreement:.3f}; {self.method} of {self.pairs} pairs, "
            f"{self.held_out} contents held out"
        )


def try_alignment(
    lake: Lake, old: Embedder, new: Embedder, sample: Sample, *, metric: str
) -> tuple[VectorMap, Trial]:
    """Fit a map on the fitted part and judge it on the held-out one.

    Args:
        lake: Holds the vectors of the sample under both models.
        old: Model version whose vectors are aligned.
        new: Model version that is imitated.
        sample: From `choose_sample`.
        metric: Metric of the golden queries.
    """
    _, pairs_old, pairs_new = _paired(lake, old.name, new.name, sample.fitted)
    vector_map = fit_alignment(pairs_old, pairs_new)
    hashes, held_old, held_new = _paired(lake, old.name, new.name, sample.held_out)
    aligned = vector_map.apply(held_old)
    trial = Trial(
        pairs=len(pairs_old),
        held_out=len(held_old),
        agreement=agreement(aligned, held_new),
        queries=0,
        metric=metric,
        old=0.0,
        aligned=0.0,
        new=0.0,
        method=vector_map.method,
    )
    golden = _answerable(lake, set(sample.held_out.column("doc_id").to_pylist()))
    if golden is None:
        return vector_map, trial
    others = lake.sample_contents(old.name, chunks_version=lake.chunks.version(), rows=DISTRACTORS)
    others = without(others, "content_hash", sample.held_out)
    other_hashes, others_old = _stored(lake, old.name, others)
    known_hashes, _, known_new = _paired(lake, old.name, new.name, sample.fitted)
    blurred = vector_map.apply(others_old)
    # Where a distractor has no true vector its aligned one stands in for it. It is no nearer to
    # a query than the true one on average, so this makes the new model look better, not the map.
    sharp = blurred.copy()
    at = {content_hash: row for row, content_hash in enumerate(other_hashes)}
    for content_hash, vector in zip(known_hashes, known_new, strict=True):
        if content_hash in at:
            sharp[at[content_hash]] = vector
    chunks = _places([*hashes, *other_hashes], pa.concat_tables([sample.held_out, others]))
    texts = list(golden.texts)
    asked_old, asked_new = old.encode_queries(texts), new.encode_queries(texts)

    def value(queries: Vectors, held: Vectors, rest: Vectors) -> float:
        documents = np.concatenate([held, rest]).T
        rankings = [
            best_per_document(_nearest(query @ documents, chunks), TOP_K) for query in queries
        ]
        return evaluate(rankings, golden, [metric]).means[metric].mean

    return vector_map, replace(
        trial,
        queries=len(golden.query_ids),
        old=value(asked_old, held_old, others_old),
        aligned=value(asked_new, aligned, blurred),
        new=value(asked_new, held_new, sharp),
    )


def keep_alignment(
    data_dir: Path,
    old: Embedder,
    new: Embedder,
    vector_map: VectorMap,
    trial: Trial,
    *,
    floor: float,
) -> str:
    """Write the provisional model version `new~from-old`, or refuse. Returns its name.

    Raises:
        AlignmentRefused: The trial is below the floor; nothing is written.
    """
    ends = Alignment.model_validate({"from": old.name, "to": new.name})
    if trial.kept < floor:
        raise AlignmentRefused(
            f"{ends.name} is refused: it keeps {trial.describe()}; the floor "
            f"(upgrades.alignment_floor) is {floor:.1%}. Readers stay on {old.name} until the "
            f"true vectors of {new.name} are there"
        )
    card = {
        "made_by": "alignment",
        "from": old.name,
        "to": new.name,
        "bases": {model.name: model.fingerprint.digest for model in (old, new)},
        "map": vector_map.digest,
        "floor": floor,
        **trial.facts(),
    }

    def fill(folder: Path) -> None:
        vector_map.save(folder)
        write_card(folder, card)

    keep_model(
        data_dir,
        ends.name,
        settings={
            "aligned": {"from": old.name, "to": new.name},
            "description": f"Provisional: vectors of {old.name} aligned; {trial.describe()}.",
        },
        fill=fill,
    )
    return ends.name


def _paired(lake: Lake, old: str, new: str, part: pa.Table) -> tuple[list[str], Vectors, Vectors]:
    """Contents of a part with both models' vectors, in the order of their hashes: a random one.

    Raises:
        TooFewContents: A content has no vector under one of them.
    """
    wanted = part.column("content_hash").unique().to_pylist()
    (hashes, theirs), (theirs_too, ours) = (_stored(lake, model, part) for model in (old, new))
    for model, count in ((old, len(hashes)), (new, len(theirs_too))):
        if count != len(wanted):
            raise TooFewContents(
                f"{len(wanted)} contents were sampled, {count} have a vector under {model}: "
                "run it again"
            )
    return hashes, theirs, ours


def _stored(lake: Lake, model_version: str, part: pa.Table) -> tuple[list[str], Vectors]:
    """Contents of a part that have a vector under a model version, by hash, and the vectors."""
    table = lake.vectors_of(model_version, part.column("content_hash").unique().to_pylist())
    dimension = lake.model_version(model_version).dimension
    vectors = matrix_of(table.column("vector").combine_chunks(), dimension)
    return table.column("content_hash").to_pylist(), vectors


def _places(hashes: list[str], chunks: pa.Table) -> list[list[str]]:
    """For each content the documents that it occurs in."""
    documents: dict[str, set[str]] = {content_hash: set() for content_hash in hashes}
    for row in chunks.select(["doc_id", "content_hash"]).to_pylist():
        documents[row["content_hash"]].add(row["doc_id"])
    return [sorted(documents[content_hash]) for content_hash in hashes]


def _nearest(scores: npt.NDArray[np.float32], chunks: list[list[str]]) -> list[tuple[str, float]]:
    """(document, score) of the best contents, enough of them for the best documents."""
    few = min(len(scores), TOP_K * 10)
    best = np.argpartition(-scores, few - 1)[:few]
    return [(doc_id, float(scores[at])) for at in best for doc_id in chunks[at]]


def _answerable(lake: Lake, doc_ids: set[str]) -> GoldenSet | None:
    """Golden queries with a relevant document among these, judged by these alone."""
    rows = lake.golden_queries.read()
    among = pc.is_in(rows.column("doc_id"), value_set=pa.array(sorted(doc_ids), pa.string()))
    rows = rows.filter(pc.and_(among, pc.greater(rows.column("gain"), 0)))
    return golden_set(rows) if rows.num_rows else None
