"""Bring the whole platform up to date: which stages have anything to do, and running them.

Belongs here: the order of the stages and the facts that say a stage is current. Every decision is
read from the lake and from what the last success recorded of its inputs, so a second call finds
nothing to do and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from vector_platform.indexes.state import IndexStates
from vector_platform.orchestration import keys
from vector_platform.orchestration.corpus.marts import staging_keys
from vector_platform.orchestration.inputs import (
    chunk_inputs,
    golden_inputs,
    recorded,
    retrieval_inputs,
    staging_inputs,
)
from vector_platform.orchestration.launch import RunOutcome, Runs
from vector_platform.orchestration.models.jobs import ReplaceConfig
from vector_platform.orchestration.partitions import require_days
from vector_platform.orchestration.releases.jobs import PromoteConfig
from vector_platform.sources.landing.held_rejects import held_rejects
from vector_platform.sources.landing.report import ACCOUNT, COUNTS
from vector_platform.wiring import Platform

RETRIEVAL = "retrieval quality"
# Who asks for the releases of these runs.
ASKER = "converge"

Summary = Callable[[RunOutcome], str]


@dataclass(frozen=True)
class StageResult:
    """What became of a stage.

    Attributes:
        name: The stage.
        ran: Whether it had anything to do.
        changed: Whether it changed anything; landing always looks, and mostly finds nothing.
        summary: What it did, or why it had nothing to do.
        run_id: The Dagster run, when there was one.
        failed_checks: Checks that did not pass.
        failed_sources: Source -> why it did not land; the others did.
    """

    name: str
    ran: bool
    changed: bool
    summary: str
    run_id: str = ""
    failed_checks: tuple[str, ...] = ()
    failed_sources: Mapping[str, str] = field(default_factory=dict)


def converge(
    runs: Runs,
    day: date,
    *,
    since: date | None = None,
    sources: Sequence[str] = (),
    left_out: Collection[str] = (),
) -> Iterator[StageResult]:
    """Run every stage that has something to do, in the order of the data's way.

    Args:
        runs: Launches the runs.
        day: The day that is landed, and with it earlier ones that nobody has landed.
        since: Land exactly the days from this one on instead.
        sources: Land these alone; all when empty.
        left_out: Sources that cannot be read, which stop no other.

    Raises:
        DayOutOfRange: A day is no partition.
        RunFailed: A stage failed; the stages before it have done their work and need not be
            repeated.
    """
    platform = runs.platform
    settings = platform.settings
    wanted = [name for name in sources or settings.read_sources if name not in left_out]
    yield _land(runs, day, since, wanted)
    yield _stage(
        "staging and documents",
        recorded(runs.instance, keys.placed(keys.DOCUMENTS, settings)) == staging_inputs(platform),
        lambda: runs.materialize(staging_keys(settings)),
        lambda done: _counts(done, "lake/documents", "rows", "inserted", "changed", "deleted"),
    )
    yield _stage(
        "chunks",
        recorded(runs.instance, keys.placed(keys.CHUNKS, settings)) == chunk_inputs(platform),
        lambda: runs.materialize([keys.CHUNKS]),
        _chunk_counts,
    )
    if settings.golden_queries:
        yield _stage(
            "golden queries",
            recorded(runs.instance, keys.placed(keys.GOLDEN_QUERIES, settings))
            == golden_inputs(platform),
            lambda: runs.materialize([keys.GOLDEN_QUERIES]),
            lambda done: _counts(done, "lake/golden_queries", "judgements"),
        )
    evaluated = False
    for model_version in settings.active_models:
        for stage in _follow_model(runs, model_version):
            evaluated = evaluated or (stage.ran and stage.name.startswith(RETRIEVAL))
            yield stage
        if not all(platform.live_pointer(name).live() for name in settings.indexes.backends):
            yield _promote(runs, model_version, "the first index that is ready")
    for name, model in settings.active_models.items():
        if model.aligned is not None:
            yield _replace(runs, name)
    if evaluated:
        # Only a new measurement may move the pointer: what a person has released stays.
        yield _promote(runs, None, "the best by its evaluation")


def _land(runs: Runs, day: date, since: date | None, sources: Sequence[str]) -> StageResult:
    settings = runs.platform.settings
    require_days(settings, day, since)
    if not sources:
        nothing = "none is read here"
        return StageResult(f"sources {day}", ran=False, changed=False, summary=nothing)
    done = runs.land(sources, day, since=since)
    failed = {
        name: said
        for name in sources
        if (said := done.failures.get(keys.placed(keys.raw(name), settings).to_python_identifier()))
    }
    found = {
        name: done.metadata[keys.raw(name).to_user_string()]
        for name in sources
        if name not in failed
    }
    total = {
        fact: sum(int(facts[fact]) for facts in found.values())
        for fact in ("rows_read", *ACCOUNT, *COUNTS)
    }
    days = max((int(facts["days"]) for facts in found.values()), default=1)
    summary = ", ".join(
        f"{total[fact]:,} {fact.replace('_', ' ')}"
        for fact in ("rows_read", "inserted", "changed", "removed", "rejected")
    )
    summary += (
        f"; {total['rows_read']:,} = {total['landed']:,} landed + {total['unchanged']:,} unchanged "
        f"+ {total['rejected']:,} rejected + {total['waiting']:,} waiting for another day"
    )
    for name, facts in found.items():
        summary += f"\n{name}: {facts['notes']}" if "notes" in facts else ""
    if total["rejected"]:
        for one in held_rejects(runs.platform.lake.raw_rejects, day=day):
            summary += f"\n{one.source}: {one.count:,} rejected ({one.frequent()})"
        summary += "\nsee them: vector-platform rejects"
    return StageResult(
        f"sources {day}" if days == 1 else f"sources {day} and {days - 1} days before",
        True,
        any(total[fact] for fact in ("inserted", "changed", "removed")),
        summary,
        done.run_id,
        done.failed_checks,
        failed,
    )


def _follow_model(runs: Runs, model_version: str) -> Iterator[StageResult]:
    platform = runs.platform
    settings = platform.settings
    indexes = [keys.index(name, settings) for name in settings.indexes.backends]
    yield _stage(
        f"embeddings and indexes {model_version}",
        _indexed(platform, model_version),
        lambda: runs.materialize([keys.EMBEDDINGS, *indexes], partition=model_version),
        lambda done: "; ".join(
            [
                _counts(done, "lake/embeddings", "texts", "texts_per_second"),
                *(
                    f"{keys.plain(key, settings).partition('/')[0]} "
                    + _counts(
                        done, keys.plain(key, settings), "rows", "rows_upserted", "rows_deleted"
                    )
                    for key in indexes
                ),
            ]
        ),
    )
    if settings.golden_queries:
        yield _stage(
            f"{RETRIEVAL} {model_version}",
            recorded(runs.instance, keys.placed(keys.RETRIEVAL, settings), model_version)
            == retrieval_inputs(platform),
            lambda: runs.materialize(
                [keys.placed(keys.RETRIEVAL, settings)], partition=model_version
            ),
            lambda done: _counts(done, "quality/retrieval", "nDCG@10", "tenant_nDCG@10"),
        )


def _indexed(platform: Platform, model_version: str) -> bool:
    """Whether every backend's newest generation is proven equal to the newest chunks.

    One that another history has written is not: its sync says so.
    """
    snapshot = platform.lake.snapshot()
    for backend in platform.settings.indexes.backends:
        states = IndexStates(platform.lake.index_state, backend, platform.settings.indexes.name)
        state = states.newest(model_version)
        if state is None or state.status != "proven" or state.snapshot is None:
            return False
        proven = (state.snapshot.chunks_id, state.snapshot.chunks)
        if proven != (snapshot.chunks_id, snapshot.chunks):
            return False
        if platform.lake.distrusted_rows(model_version, snapshot, since=state.snapshot).num_rows:
            return False
        if not platform.target(backend).exists(state.identity):
            return False
        looked_at = platform.index_sync(backend, run_id=ASKER).ownership.looked_at()
        if any(objection is not None for _, objection in looked_at):
            return False
    return True


def _replace(runs: Runs, model_version: str) -> StageResult:
    """Give a provisional version's place to the true one as soon as that is complete."""
    config = ReplaceConfig(model_version=model_version)
    done = runs.job("replace_alignment", config)
    settings = runs.platform.settings
    return StageResult(
        f"alignment {model_version}",
        True,
        settings.models[model_version].retired,
        done.output,
        done.run_id,
    )


def _promote(runs: Runs, model_version: str | None, reason: str) -> StageResult:
    config = PromoteConfig(
        model_version=model_version or "", reason=reason, actor=ASKER, automatic=True
    )
    done = runs.job("promote", config)
    outcomes = done.output
    return StageResult(
        "release",
        True,
        any(outcome["moved"] for outcome in outcomes.values()),
        "; ".join(f"{name}: {one['summary']}" for name, one in outcomes.items() if one["moved"])
        or "no pointer has moved: " + next(iter(outcomes.values()))["summary"],
        done.run_id,
    )


def _stage(
    name: str, current: bool, run: Callable[[], RunOutcome], summary: Summary
) -> StageResult:
    if current:
        return StageResult(name, ran=False, changed=False, summary="up to date")
    done = run()
    return StageResult(name, True, True, summary(done), done.run_id, done.failed_checks)


def _chunk_counts(done: RunOutcome) -> str:
    counts = _counts(done, "lake/chunks", "chunks", "inserted", "changed", "deleted")
    empty = done.metadata.get("lake/chunks", {}).get("without_text", 0)
    return (
        f"{counts}; {empty:,} documents without a visible text have no chunk" if empty else counts
    )


def _counts(done: RunOutcome, asset: str, *facts: str) -> str:
    metadata: Any = done.metadata.get(asset, {})
    return ", ".join(
        f"{metadata[fact]:.3f} {fact}" if "@" in fact else f"{metadata[fact]:,} {_words(fact)}"
        for fact in facts
        if fact in metadata
    )


def _words(fact: str) -> str:
    return fact.removeprefix("rows_").replace("_", " ")
