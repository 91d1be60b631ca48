"""Whether a query model makes the vectors that are given: measured on a sample, and recorded.

Belongs here: the measurement, its record in `evaluations`, and reading it.

A query is only found among vectors of the same model. So a model is asked for queries once it has
embedded a fixed sample of the texts to what is given for them. What was embedded may have been the
text alone, or its title and the text; the better of the two counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from vector_platform.lake.contract import content_of
from vector_platform.lake.derived.given_rows import name_of, sample_of
from vector_platform.lake.evaluations import Measurement, PastEvaluation, keep, measurements_of
from vector_platform.lake.given import SAME_VECTOR_COSINE
from vector_platform.lake.lake import Lake
from vector_platform.models.base import Embedder
from vector_platform.models.given.version import GivenEmbedder

Cosines = npt.NDArray[np.float64]

KIND = "query_model"
METRIC = "least_cosine"
# Texts, those with the smallest hashes: a model that differs on one in fifty is seen by 98 %.
SAMPLE = 200


def measure_query_model(lake: Lake, given: GivenEmbedder, *, run_id: str) -> dict[str, Any]:
    """Let the query model embed the sample, unless it has embedded that very one before.

    Returns:
        Facts for metadata; none where no query model is named, or nothing has a vector.
    """
    model = given.query_model()
    if model is None:
        return {}
    version = lake.chunks.version()
    sample = sample_of(lake, given.name, chunks_version=version, rows=SAMPLE)
    if sample.num_rows == 0:
        return {}
    named = name_of(sample.column("content_hash").to_pylist())
    newest = _newest(lake, given, model)
    if newest is None or newest.details["sample"] != named:
        cosines = _cosines(model, sample)
        least = float(cosines.min())
        measured = Measurement(
            kind=KIND,
            subject=model.name,
            model_version=given.name,
            metric=METRIC,
            value=least,
            sample_size=sample.num_rows,
            details={
                "query_model": model.name,
                "query_fingerprint": model.fingerprint.digest,
                "fingerprint": given.fingerprint.digest,
                "sample": named,
                "below": int((cosines < SAME_VECTOR_COSINE).sum()),
                "texts": sample.num_rows,
                "passed": least >= SAME_VECTOR_COSINE,
            },
            chunks_version=version,
        )
        keep(lake, measured, run_id=run_id, now=datetime.now(UTC))
    return reproduction_facts(lake, given)


def reproduction_facts(lake: Lake, given: GivenEmbedder) -> dict[str, Any]:
    """The newest comparison with the query model, for metadata; none where there is none."""
    model = given.query_model()
    newest = None if model is None else _newest(lake, given, model)
    if model is None or newest is None:
        return {}
    return {
        "query_model": model.name,
        "query_model_least_cosine": round(newest.value, 6),
        "query_model_texts": newest.details["texts"],
        "query_model_texts_below": newest.details["below"],
        "searched_by_text": int(newest.details["passed"]),
    }


def reproduction_problem(lake: Lake, given: GivenEmbedder, model: Embedder) -> str | None:
    """Why a model may not embed the queries of a version; None when it may."""
    found = _newest(lake, given, model)
    if found is None:
        return (
            f"its vectors are given, and query model {model.name} has not been compared with them "
            f"yet: materialise lake/embeddings for the partition {given.name}"
        )
    if found.details["passed"]:
        return None
    return (
        f"query model {model.name} does not make its vectors: of a sample of "
        f"{found.details['texts']} texts, {found.details['below']} get a vector whose cosine with "
        f"the given one is below {SAME_VECTOR_COSINE} (the least is {found.value:.4f}); search by "
        f"a vector, or name the model that made them (models.{given.name}.given.query_model)"
    )


def _newest(lake: Lake, given: GivenEmbedder, model: Embedder) -> PastEvaluation | None:
    found = [
        one
        for one in measurements_of(lake, KIND, given.name)
        if one.details["query_fingerprint"] == model.fingerprint.digest
        and one.details["fingerprint"] == given.fingerprint.digest
    ]
    return found[-1] if found else None


def _cosines(model: Embedder, sample: Any) -> Cosines:
    """Of each text, with its given vector."""
    rows = sample.to_pylist()
    stored = np.array([row["vector"] for row in rows], np.float64)
    tried = [[row["text"] for row in rows]]
    if any(row["title"] for row in rows):
        tried.append([content_of(row["title"], row["text"]) for row in rows])
    cosines = [(model.embed_few(texts).astype(np.float64) * stored).sum(axis=1) for texts in tried]
    best = max(cosines, key=lambda found: float(found.min()))
    # A text without a vector, or with one of no numbers, is as far away as anything can be.
    bounded: Cosines = np.nan_to_num(best, nan=-1.0).clip(-1.0, 1.0)
    return bounded
