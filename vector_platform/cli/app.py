"""The root of the command line: global options, groups of verbs, and how errors end.

Belongs here: assembly. Every expected error, and every fault of the machine (`faults.py`), ends in
one message and a code of `exits.py`; only a bug shows a traceback.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vector_platform import __version__
from vector_platform.cli import config, init, keys, lake, launching, model, rejects, search
from vector_platform.cli.exits import EPILOG, Exit, code_of
from vector_platform.cli.indexes import index, migrate
from vector_platform.cli.output import read_by, say, say_aside, say_ending, say_error
from vector_platform.cli.quality import drift, golden, quarantine
from vector_platform.cli.releases import release, requests
from vector_platform.cli.running import drift_demo, pipeline, serve, services, ui
from vector_platform.faults import explained
from vector_platform.settings import CONFIG_VARIABLE

STOPPED = (
    "stopped; what was committed stays, nothing is half written, and the same command goes on "
    "from there"
)


# What is wrong with a command line. Typer brings the parser along, and gives this class no name.
_WrongCommandLine: Any = typer.BadParameter.__mro__[1]


class _Root(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        read_by(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say_aside(STOPPED)
            say_ending(STOPPED, kind="Stopped", code=Exit.STOPPED)
            raise typer.Exit(Exit.STOPPED) from None
        except _WrongCommandLine as error:
            say_ending(error.format_message(), kind="WrongUsage", code=Exit.USAGE)
            raise


def _version(asked: bool) -> None:
    if asked:
        say(f"vector-platform {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="vector-platform",
    cls=_Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    help="Searchable, provable vector indexes from a Delta Lake of embeddings.",
)
app.add_typer(config.app, name="config")
app.add_typer(services.app, name="services")
app.add_typer(lake.app, name="lake")
app.add_typer(keys.app, name="keys")
app.add_typer(index.app, name="index")
app.add_typer(model.app, name="model")
app.add_typer(release.app, name="release")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(drift.app, name="drift")
app.add_typer(golden.app, name="golden")
init.register(app)
pipeline.register(app)
serve.register(app)
ui.register(app)
drift_demo.register(app)
search.register(app)
rejects.register(app)
migrate.register(app)
requests.register(app, release.app)


@app.callback()
def _options(
    file: Annotated[
        Path | None,
        typer.Option("--config", help="platform.yaml to use.", envvar=CONFIG_VARIABLE),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", help="Show what dbt, Dagster and libraries say, on standard error."
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_version, help="Print the version and end."
        ),
    ] = False,
) -> None:
    if file is not None:
        os.environ[CONFIG_VARIABLE] = str(file)
    launching.verbose.set(verbose)


def main() -> None:
    """Run the command line."""
    # Models are loaded from installed packages; a hub is asked only when the user says so.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        app()
    except Exception as error:
        named = explained(error)
        if named is None:
            raise
        say_error(str(named), kind=type(named).__name__, code=code_of(named))
        sys.exit(code_of(named))
