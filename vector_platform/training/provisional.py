"""Provisional model versions: a new model's, from the vectors of an old one.

Belongs here: the order of the steps, from a sample to a version that is kept or refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from vector_platform.lake.lake import Lake
from vector_platform.models.registry import registration
from vector_platform.settings import Alignment
from vector_platform.training.alignment import keep_alignment, try_alignment
from vector_platform.training.alignment_sample import choose_sample
from vector_platform.training.workshop import CannotBeMade, Workshop


def make_alignment(
    shop: Workshop,
    old: str,
    new: str,
    *,
    embed: Callable[[Iterable[pa.RecordBatch]], None],
    run_id: str,
    log: Callable[[str], None],
) -> str:
    """Make the provisional model version `new~from-old`. Returns its name.

    One that was made before is kept as it is: a model version is immutable.

    Args:
        shop: Of the deployment.
        old: Model version whose vectors are in the lake.
        new: Model version that is to be served.
        embed: Gives contents vectors of the new one.
        run_id: Who registers the new one.
        log: Takes lines on progress.

    Raises:
        AlignmentRefused: The held-out contents say no; nothing is kept but true vectors.
        TooFewContents: There is too little to fit a map on, or to judge it by.
    """
    for model_version in (old, new):
        if shop.spec(model_version).bases:
            raise CannotBeMade(f"{model_version} is made from other model versions itself")
    name = Alignment.model_validate({"from": old, "to": new}).name
    if name in shop.settings.models:
        return name
    lake, upgrades = shop.lake, shop.settings.upgrades
    lake.register_model(registration(shop.embedder(new), run_id))
    sample = choose_sample(lake, old, upgrades)
    contents = pa.concat_tables([sample.fitted, sample.held_out])
    embed(_without_vectors(lake, new, contents))
    vector_map, trial = try_alignment(
        lake,
        shop.embedder(old),
        shop.embedder(new),
        sample,
        metric=shop.settings.quality.evaluation_metric,
    )
    log(f"{name}: {trial.describe()}")
    keep_alignment(
        shop.settings.data_dir,
        shop.embedder(old),
        shop.embedder(new),
        vector_map,
        trial,
        floor=upgrades.alignment_floor,
    )
    return name


def _without_vectors(
    lake: Lake, model_version: str, contents: pa.Table
) -> Iterator[pa.RecordBatch]:
    """Each content once that the model version has no vector for when this is asked."""
    texts = dict(
        zip(
            contents.column("content_hash").to_pylist(),
            contents.column("text").to_pylist(),
            strict=True,
        )
    )
    known = lake.vectors_of(model_version, sorted(texts)).column("content_hash")
    missing = sorted(set(texts) - set(known.to_pylist()))
    yield pa.RecordBatch.from_pydict(
        {"content_hash": missing, "text": [texts[one] for one in missing]},
        schema=pa.schema([("content_hash", pa.string()), ("text", pa.string())]),
    )
