"""`vector-platform run`, `demo` and `ui`: the whole pipeline, and looking at it."""

from __future__ import annotations

import getpass
import os
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.request import urlopen

import typer

from vector_platform.cli.exits import Exit
from vector_platform.cli.launching import ASSETS, launch, launches, open_runs
from vector_platform.cli.output import say, say_aside

if TYPE_CHECKING:
    from vector_platform.settings import Settings

# Jobs of the stages that bring everything up to date.
STAGES = ("ingest_day", ASSETS, "promote", "replace_alignment")
_ASK_UI_SECONDS = 0.5
DEMO_QUESTION = "rotate the encryption key of a secret"


def register(app: typer.Typer) -> None:
    """Add the verbs to the root."""
    app.command()(run)
    app.command()(backfill)
    app.command()(demo)
    app.command()(ui)


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
    _, failed = _converge(_parse_day(to_day), since=since)
    _end_naming(failed)


@launches(*STAGES)
def backfill(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Sources to land; default all with a time column."),
    ] = None,
    from_day: FromDay = None,
    to_day: ToDay = None,
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
    _, failed = _converge(_parse_day(to_day), since=since, sources=sources or timed)
    _end_naming(failed)


@launches(*STAGES, "approve_release")
def demo() -> None:
    """The main job on embedded servers: from sources to a search that answers from both."""
    from vector_platform.cli.search import search

    started = time.monotonic()
    changed, failed = _converge(datetime.now(UTC).date())
    _approve_waiting()
    if not changed:
        say("nothing to do: sources, lake and both indexes are as the last run left them")
    search(DEMO_QUESTION, backend="all", tenant=None, k=5, as_json=False)
    _end_naming(failed)
    say(f"demo done in {time.monotonic() - started:.0f} s; `make ui` shows these runs")


def ui(
    port: Annotated[int, typer.Option(help="Port of the web server.")] = 3000,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. The web server has no login: see operations.md."),
    ] = "127.0.0.1",
) -> None:
    """Open the Dagster UI and daemon on this deployment, and start again whichever ends."""
    from vector_platform.local.supervisor import Supervisor
    from vector_platform.orchestration.runs.instance import dagster_home
    from vector_platform.wiring import load_settings

    settings = load_settings()
    home = dagster_home(settings)
    os.environ["DAGSTER_HOME"] = str(home)
    workspace = ["--workspace", str(settings.root / "workspace.yaml")]
    scripts = Path(sys.executable).parent
    say("starting the Dagster UI and the daemon (stop with Ctrl+C)")
    threading.Thread(target=_say_when_it_answers, args=(host, port), daemon=True).start()

    def command(script: str, *arguments: str) -> list[str]:
        return [sys.executable, str(scripts / script), *arguments, *workspace]

    Supervisor(
        {
            "web server": command("dagster-webserver", "--host", host, "--port", str(port)),
            "daemon": command("dagster-daemon", "run"),
        },
        folder=settings.data_dir / "ui",
        say=say,
        # The web server answers without its code server, and starts no run. The daemon gets
        # another one by itself.
        parents={"web server"},
    ).run()


def _say_when_it_answers(host: str, port: int) -> None:
    """Print the address of the UI once it can be opened."""
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    while True:
        try:
            with urlopen(f"{address}/server_info", timeout=5):
                say(f"Dagster UI on {address}")
                return
        except OSError:
            time.sleep(_ASK_UI_SECONDS)


def _converge(
    day: date, *, since: date | None = None, sources: Sequence[str] = ()
) -> tuple[bool, dict[str, str]]:
    """Print every stage as it ends.

    Returns:
        Whether any of them changed something, and the sources that did not land, with why.
    """
    from vector_platform.local import services
    from vector_platform.orchestration.converge import converge

    settings, failed = _looked_at()
    for endpoint in services.up_for(settings.data_dir, settings.embedded_backends):
        say(f"{endpoint.name} is up at {endpoint.uri}")
    runs = open_runs()
    platform, changed = runs.platform, False
    try:
        started = time.monotonic()
        for stage in converge(runs, day, since=since, sources=sources, left_out=failed):
            seconds = time.monotonic() - started
            first, *more = stage.summary.splitlines()
            say(f"[{seconds:5.1f} s] {stage.name}: {first}")
            for line in more:
                say(f"          {line}")
            for check in stage.failed_checks:
                say(f"          check did not pass: {check}")
            failed |= stage.failed_sources
            changed = changed or stage.changed
    finally:
        platform.close()
    return changed, failed


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


def _approve_waiting() -> None:
    """Approve the model that the demo's own run asked for: the person who watches is its approver.

    Outside a demo such a request waits for somebody to look at the report of its gates.
    """
    from vector_platform.orchestration.converge import ASKER
    from vector_platform.orchestration.releases.jobs import DecisionConfig
    from vector_platform.releases.requests.requests import ReleaseRequests

    runs = open_runs()
    try:
        for request in ReleaseRequests(runs.platform.lake).all():
            if request.open and request.requester == ASKER:
                config = DecisionConfig(
                    request_id=request.request_id,
                    actor=getpass.getuser(),
                    reason="seen in the demo",
                )
                (told,) = launch(runs, config, "approve_release").output.values()
                say(f"approved in your name: {told['summary']}, {request.reason}")
    finally:
        runs.platform.close()


def _parse_day(text: str | None) -> date:
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a day like 2026-11-23") from error
