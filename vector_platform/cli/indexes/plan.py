"""`vector-platform index plan`: what a sync would write and delete, and what it would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vector_platform.cli.choices import chosen_backends, chosen_models
from vector_platform.cli.output import BackendOption, JsonFlag, ModelOption, say, say_json

if TYPE_CHECKING:
    from vector_platform.wiring import Platform


def plan(
    backend: BackendOption = "all", model: ModelOption = None, as_json: JsonFlag = False
) -> None:
    """Say what a sync would write and delete, and what it would cost. Writes nothing."""
    from vector_platform.wiring import Platform

    platform = Platform.load()
    facts = []
    for model_version in chosen_models(platform.settings, model):
        to_embed = _to_embed(platform, model_version)
        dimension = platform.embedder(model_version).dimension
        for name in chosen_backends(platform.settings, backend):
            sync = platform.index_sync(name, run_id="plan")
            found = sync.forecast(model_version, dimension=dimension)
            facts.append({"backend": name, **found.facts(), **to_embed})
    if as_json:
        say_json(facts)
        return
    for fact in facts:
        say(_forecast_line(fact))
        for tenant, counts in fact.get("tenants", {}).items():
            say(f"    {tenant}: {counts['write']} to write, {counts['delete']} to delete")


def _forecast_line(fact: dict[str, Any]) -> str:
    name = f"{fact['backend']} {fact['model_version']} {fact.get('generation') or '(new)'}"
    embed = ""
    if fact["texts_to_embed"]:
        sampled = fact["texts_sampled_for_tokens"]
        about = f" (estimated from {sampled:,})" if sampled < fact["texts_to_embed"] else ""
        embed = (
            f"; first {fact['texts_to_embed']:,} texts to embed, "
            f"{fact['tokens_to_embed']:,} tokens{about}"
        )
    if not fact.get("rows_to_write") and not fact.get("rows_to_delete"):
        return f"{name}: nothing to write ({fact['reason']}){embed}"
    seconds = fact["estimated_seconds"]
    return (
        f"{name}: {fact['rows_to_write']:,} rows to write, {fact['rows_to_delete']:,} to delete "
        f"({fact['mode']}: {fact['reason']}), {fact['size_bytes'] / 1e6:.1f} MB in "
        f"{fact['requests']} requests, "
        f"{f'about {seconds} s' if seconds is not None else 'no history to estimate time from'}"
        f"{embed}"
    )


def _to_embed(platform: Platform, model_version: str) -> dict[str, Any]:
    """Texts that have no vector yet, and their tokens as the model's own tokenizer cuts them."""
    from vector_platform.models.cost import SAMPLED_TEXTS, embedding_cost

    lake = platform.lake
    snapshot = lake.snapshot()
    missing = lake.missing_contents(
        model_version, chunks_version=snapshot.chunks, batch_rows=SAMPLED_TEXTS
    )
    # They come in the order of their hashes, so that the first stand for all.
    first = next(missing, None)
    cost = embedding_cost(
        platform.embedder(model_version),
        lake.count_missing(model_version, snapshot),
        first.column("text").to_pylist() if first else [],
    )
    price = platform.settings.models[model_version].usd_per_million_tokens
    return cost.facts(usd_per_million_tokens=price)
