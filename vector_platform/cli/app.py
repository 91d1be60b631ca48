"""The root of the command line: global options, groups of verbs, and how errors end.

Belongs here: assembly. Every expected error, and every fault of the machine (`faults.py`), ends in
one message and exit code 1; only a bug shows a traceback.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from vector_platform.cli import config, init, lake, model, search
from vector_platform.cli.indexes import index, migrate
from vector_platform.cli.output import harmless
from vector_platform.cli.quality import drift, golden, quarantine
from vector_platform.cli.releases import release, requests
from vector_platform.cli.running import drift_demo, pipeline, services
from vector_platform.faults import explained
from vector_platform.settings import CONFIG_VARIABLE

app = typer.Typer(
    name="vector-platform",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Searchable, provable vector indexes from a Delta Lake of embeddings.",
)
app.add_typer(config.app, name="config")
app.add_typer(services.app, name="services")
app.add_typer(lake.app, name="lake")
app.add_typer(index.app, name="index")
app.add_typer(model.app, name="model")
app.add_typer(release.app, name="release")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(drift.app, name="drift")
app.add_typer(golden.app, name="golden")
init.register(app)
pipeline.register(app)
drift_demo.register(app)
search.register(app)
migrate.register(app)
requests.register(app, release.app)


@app.callback()
def _options(
    file: Annotated[
        Path | None,
        typer.Option("--config", help="platform.yaml to use.", envvar=CONFIG_VARIABLE),
    ] = None,
) -> None:
    if file is not None:
        os.environ[CONFIG_VARIABLE] = str(file)


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
        typer.secho(harmless(f"error: {named}"), fg=typer.colors.RED, err=True)
        sys.exit(1)
