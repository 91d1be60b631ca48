"""`vector-platform run`, `backfill` and `demo`: the whole pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vector_platform.cli.choices import BadChoice
from vector_platform.cli.exits import Exit
from vector_platform.cli.launching import ASSETS, launch, launches, open_runs
from vector_platform.cli.output import JsonFlag, progress, say_aside, say_json

if TYPE_CHECKING:
    from vector_platform.orchestration.converge import StageResult
    from vector_platform.settings import Settings

# Jobs of the stages that bring everything up to date.
STAGES = ("ingest_day", ASSETS, "promote", "replace_alignment")
DEMO_QUESTION = "rotate the encryption key of a secret"


def register(app: typer.Typer) -> None:
    """Add the verbs to the root."""
    app.command()(run)
    app.command()(backfill)
    app.command()(demo)


FromDay = Annotated[
    str | None, typer.Option("--from", help="First day to land, YYYY-MM-DD; default start_date.")
]
ToDay = Annotated[
    str | None, typer.Option("--to", help="Last day to land, YYYY-MM-DD; default today (UTC).")
]


@launches(*STAGES)
def run(
    day: Annotated[
        str | None, typer.Option(help="Land this day alone, YYYY-MM-DD, instead of today (UTC).")
    ] = None,
    from_day: FromDay = None,
    to_day: ToDay = None,
    as_json: JsonFlag = False,
) -> None:
    """Bring everything up to date: land what is due, then whatever has something to do.

    Without a day, sources with a time column land today and all days since start_date that nobody
    has landed, so a first run lands everything there is.

    It begins with the look of `config check` and starts the embedded servers that it needs. A
    source that cannot be read stops no other; the run names it and ends with 1.
    """
    from vector_platform.wiring import load_settings

    since = None
    if day is not None:
        if from_day is not None or to_day is not None:
            raise typer.BadParameter("give --day, or --from and --to")
        from_day = to_day = day
    if from_day or to_day:
        since = _parse_day(from_day) if from_day else load_settings().start_date
    done = _converge(_parse_day(to_day), since=since, tell=progress(as_json))
    if as_json:
        say_json(done.facts())
    _end_naming(done.failed_sources)


@launches(*STAGES)
def backfill(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Sources to land; default all with a time column."),
    ] = None,
    from_day: FromDay = None,
    to_day: ToDay = None,
    as_json: JsonFlag = False,
) -> None:
    """Land a range of days in one reading, again or for the first time, then go on as `run` does.

    Rows that have landed are recognised, so days may be named that have been landed before.
    """
    from vector_platform.wiring import load_settings

    settings = load_settings()
    timed = [name for name, spec in settings.sources.items() if spec.fields.time is not None]
    if odd := sorted(set(sources or ()) - set(timed)):
        raise typer.BadParameter(
            f"{', '.join(odd)}: no source with fields.time; it is for {', '.join(timed) or 'none'}"
        )
    if not timed:
        raise typer.BadParameter("no source has fields.time: every run lands all that there is")
    since = _parse_day(from_day) if from_day else settings.start_date
    done = _converge(
        _parse_day(to_day), since=since, sources=sources or timed, tell=progress(as_json)
    )
    if as_json:
        say_json(done.facts())
    _end_naming(done.failed_sources)


@launches(*STAGES, "approve_release")
def demo(as_json: JsonFlag = False) -> None:
    """The main job on embedded servers: from sources to a search that answers from both."""
    from vector_platform.cli.search import answers, say_answers
    from vector_platform.indexes.contract import Scope
    from vector_platform.wiring import Platform

    started, tell = time.monotonic(), progress(as_json)
    done = _converge(datetime.now(UTC).date(), tell=tell)
    approved = _approve_waiting(tell)
    if not done.changed:
        tell("nothing to do: sources, lake and both indexes are as the last run left them")
    results = answers(Platform.load(), DEMO_QUESTION, scope=Scope.all_tenants(), k=5)
    if as_json:
        found = [result.as_json() for result in results]
        say_json(done.facts() | {"approved": approved, "search": found})
    else:
        say_answers(results)
    _end_naming(done.failed_sources)
    tell(f"demo done in {time.monotonic() - started:.0f} s; `make ui` shows these runs")


@dataclass
class _Done:
    """What became of bringing everything up to date.

    Attributes:
        stages: What each did.
        failed_sources: Sources that did not land, with why.
    """

    stages: list[StageResult] = field(default_factory=list)
    failed_sources: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether any stage changed something."""
        return any(stage.changed for stage in self.stages)

    def facts(self) -> dict[str, Any]:
        """All of it for machines."""
        return {
            "changed": self.changed,
            "stages": [vars(stage) for stage in self.stages],
            "failed_sources": self.failed_sources,
        }


def _converge(
    day: date,
    *,
    since: date | None = None,
    sources: Sequence[str] = (),
    tell: Callable[[str], None],
) -> _Done:
    """Tell of every stage as it ends, and return all of them."""
    from vector_platform.local import services
    from vector_platform.orchestration.converge import converge
    from vector_platform.orchestration.partitions import DayOutOfRange, require_days

    started = time.monotonic()
    settings, failed = _looked_at()
    try:
        require_days(settings, day, since)
    except DayOutOfRange as error:
        raise BadChoice(str(error)) from error
    done = _Done(failed_sources=failed)
    for endpoint in services.up_for(settings.data_dir, settings.embedded_backends):
        tell(f"{endpoint.name} is up at {endpoint.uri}")
    runs = open_runs()
    try:
        left_out = set(failed)
        for stage in converge(runs, day, since=since, sources=sources, left_out=left_out):
            seconds = time.monotonic() - started
            first, *more = stage.summary.splitlines()
            tell(f"[{seconds:5.1f} s] {stage.name}: {first}")
            for line in more:
                tell(f"          {line}")
            for check in stage.failed_checks:
                tell(f"          check did not pass: {check}")
            done.stages.append(stage)
            done.failed_sources.update(stage.failed_sources)
    finally:
        runs.platform.close()
    return done


def _looked_at() -> tuple[Settings, dict[str, str]]:
    """The settings after the look before a run, and the sources that cannot be read, with why.

    Raises:
        WouldFail: Something is wrong that concerns more than single sources.
    """
    from vector_platform.preflight import WouldFail, look
    from vector_platform.wiring import read_deployment

    reading = read_deployment()
    found = look(reading)
    settings, failed = reading.settings, found.broken_sources()
    if settings is None or reading.problems or found.stopping() or failed >= {*settings.sources}:
        raise WouldFail(reading.origin, found.problems)
    return settings, {
        name: "; ".join(one.what for one in found.problems if one.part[1] == name)
        for name in settings.sources
        if name in failed
    }


def _end_naming(failed: dict[str, str]) -> None:
    """End with 1 when sources did not land, naming each and why."""
    for name, why in failed.items():
        say_aside(f"error: source {name} did not land: {why}")
    if failed:
        raise typer.Exit(Exit.FAILED)


def _approve_waiting(tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Approve the model that the demo's own run asked for: the person who watches is its approver.

    Outside a demo such a request waits for somebody to look at the report of its gates.

    Returns:
        What became of each.
    """
    from vector_platform.orchestration.converge import ASKER
    from vector_platform.orchestration.releases.jobs import ApproveConfig
    from vector_platform.releases.requests.requests import ReleaseRequests

    runs, approved = open_runs(), []
    try:
        for request in ReleaseRequests(runs.platform.lake).all():
            if request.open and request.requester == ASKER:
                config = ApproveConfig(request_id=request.request_id, reason="seen in the demo")
                (told,) = launch(runs, config, "approve_release").output.values()
                tell(f"approved in your name: {told['summary']}, {request.reason}")
                approved.append(told)
    finally:
        runs.platform.close()
    return approved


def _parse_day(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a day like 2026-11-23") from error
