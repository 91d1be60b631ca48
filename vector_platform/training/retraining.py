"""Retraining: from judgements to a new model version that wins on held-out queries.

Belongs here: the order of the steps, by each configured method, and what is kept of a winner.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vector_platform.lake.contract import hash_text
from vector_platform.models.base import Embedder
from vector_platform.models.derived.versions import open_derived
from vector_platform.models.identity.hashing import hash_file
from vector_platform.models.local_versions import keep_model, write_card
from vector_platform.models.registry import open_model
from vector_platform.quality.retrieval.comparison import Comparison
from vector_platform.settings import Model
from vector_platform.training.candidates import (
    ChallengerRefused,
    Pool,
    Split,
    choose_pool,
    collect_judgements,
    compare_models,
    demand_a_win,
    describe,
    drawn,
    read_feedback,
    split_by_document,
    training_pairs,
)
from vector_platform.training.finetune import fine_tune
from vector_platform.training.pairs import Pair, TrainingRuntime
from vector_platform.training.query_adapter import train_adapter
from vector_platform.training.workshop import BASE_NAME_LENGTH, CannotBeMade, Workshop

# One trained document in five chooses how far an adapter goes.
SET_ASIDE_SHARE = 0.2


@dataclass(frozen=True)
class Candidate:
    """A trained model version that is not proposed yet.

    Attributes:
        name: What it will be called: its base and the hash of what was trained.
        settings: Its entry under `models`.
        folder: Where its card, and its weights or matrix, are.
    """

    name: str
    settings: dict[str, Any]
    folder: Path


def base_of(shop: Workshop, asked: str, live: Iterable[str]) -> str:
    """The model version to start from, with weights of its own: the asked or a live one's.

    Args:
        shop: Of the deployment.
        asked: Empty for one that is live.
        live: Model versions that are.

    Raises:
        CannotBeMade: None is live, or it is provisional.
    """
    name = next((one for one in (asked, *live) if one), "")
    if not name:
        raise CannotBeMade("no model version is live yet: name one to retrain")
    spec = shop.spec(name)
    if spec.aligned is not None:
        raise CannotBeMade(f"{name} is provisional: retrain {spec.aligned.target}")
    return spec.adapter_of or name


def train_model(
    shop: Workshop, base: str, log: Callable[[str], None]
) -> tuple[str, dict[str, Comparison]]:
    """Train by each configured method until one wins; keep that one.

    Returns:
        The new model version and its comparison with the base, a metric each.

    Raises:
        NothingToLearn: There are too few judgements.
        ChallengerRefused: None wins on every gated metric; nothing is kept.
    """
    lake, settings = shop.lake, shop.settings.retraining
    feedback = (
        read_feedback(shop.settings.root / Path(settings.feedback).expanduser())
        if settings.feedback
        else []
    )
    judgements = collect_judgements(lake.golden_queries.read(), feedback)
    split = split_by_document(judgements, settings.held_out_share)
    pool = choose_pool(lake, base, split.held_out, settings.pool_contents)
    refused: list[str] = []
    for method in settings.methods:
        with tempfile.TemporaryDirectory(prefix="vector-platform-train-") as place:
            train = _adapt if method == "adapter" else _fine_tune
            candidate = train(shop, base, split, Path(place), log)
            log(f"{candidate.name} is trained by {method} on {len(split.trained)} judgements")
            try:
                return candidate.name, _keep_if_better(shop, base, candidate, split, pool)
            except ChallengerRefused as error:
                log(str(error))
                refused.append(str(error))
    raise ChallengerRefused("\n".join(refused))


def _keep_if_better(
    shop: Workshop, base: str, candidate: Candidate, split: Split, pool: Pool
) -> dict[str, Comparison]:
    champion = shop.embedder(base)
    challenger = _opened(shop, candidate)
    comparisons = compare_models(shop.lake, champion, challenger, split.held_out, pool)
    demand_a_win(candidate.name, comparisons)
    about = f"Trained from {base}: {describe(comparisons)}."

    def fill(folder: Path) -> None:
        shutil.copytree(candidate.folder, folder, dirs_exist_ok=True)

    keep_model(
        shop.settings.data_dir,
        candidate.name,
        settings=candidate.settings | {"description": about},
        fill=fill,
    )
    return comparisons


def _adapt(
    shop: Workshop, base: str, split: Split, folder: Path, log: Callable[[str], None]
) -> Candidate:
    model, settings = shop.embedder(base), shop.settings.retraining
    runtime = TrainingRuntime(settings.seed, settings.threads)
    pairs, queries, documents, answers = training_pairs(shop.lake, model, split.trained)
    vector_map, facts = train_adapter(
        queries, documents, answers, set_aside=_set_aside(pairs), runtime=runtime
    )
    vector_map.save(folder)
    card = {
        "made_by": "retrain",
        "of": base,
        "bases": {base: model.fingerprint.digest},
        "vectors_of": base,
        "map": vector_map.digest,
        "pairs": len(pairs),
        "trained_queries": _queries(split),
        **facts,
        **runtime.facts(),
    }
    write_card(folder, card)
    name = f"{base[:BASE_NAME_LENGTH]}.qa-{vector_map.digest[:8]}"
    return Candidate(name, {"adapter_of": base}, folder)


def _fine_tune(
    shop: Workshop, base: str, split: Split, folder: Path, log: Callable[[str], None]
) -> Candidate:
    model, settings = shop.embedder(base), shop.settings.retraining
    runtime = TrainingRuntime(settings.seed, settings.threads)
    pairs, *_ = training_pairs(shop.lake, model, split.trained)
    prints = model.fingerprint
    facts = fine_tune(
        base,
        shop.weights_of(base),
        folder,
        [
            Pair(prints.query_prompt + one.query, prints.document_prompt + one.text, one.doc_id)
            for one in pairs
        ],
        steps=settings.steps,
        batch_pairs=settings.batch_pairs,
        runtime=runtime,
        on_step=lambda step, loss: log(f"step {step}, loss {loss:.4f}") if step % 10 == 0 else None,
    )
    digest = hash_file(folder / "model.safetensors", shop.settings.data_dir / "models")
    card = {
        "made_by": "retrain",
        "of": base,
        "trained_from": {base: prints.digest},
        "weights": digest,
        "trained_queries": _queries(split),
        **facts,
        **runtime.facts(),
    }
    write_card(folder, card)
    spec = shop.settings.models[base].model_dump(
        mode="json",
        exclude_defaults=True,
        exclude={"package", "path", "hub", "revision", "description", "retired"},
    )
    return Candidate(f"{base[:BASE_NAME_LENGTH]}.ft-{digest[:8]}", spec, folder)


def _opened(shop: Workshop, candidate: Candidate) -> Embedder:
    """A candidate's embedder, opened from where it was trained."""
    cache_dir = shop.settings.data_dir / "models"
    spec = Model.model_validate({**candidate.settings, "path": str(candidate.folder)})
    if spec.adapter_of is None:
        return open_model(candidate.name, spec, cache_dir=cache_dir)
    return open_derived(
        candidate.name,
        spec,
        candidate.folder,
        cache_dir=cache_dir,
        open_base=shop.embedder,
    )


def _queries(split: Split) -> list[str]:
    """What the card says of the queries: enough to know one again, not to read it."""
    return sorted({hash_text(one.query) for one in split.trained})


def _set_aside(pairs: list[Pair]) -> npt.NDArray[np.bool_]:
    """Every pair of one document in five, by the hash of its id."""
    aside = [drawn(pair.doc_id, SET_ASIDE_SHARE, salt="set aside") for pair in pairs]
    return np.array(aside, dtype=bool)
