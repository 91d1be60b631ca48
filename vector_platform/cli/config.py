"""`vector-platform config`: the settings, checked and shown."""

from __future__ import annotations

from typing import Annotated

import typer

from vector_platform.cli.exits import Exit
from vector_platform.cli.output import JsonFlag, say, say_json
from vector_platform.masking import masked, masked_values

app = typer.Typer(no_args_is_help=True, help="Check and show platform.yaml.")


@app.command()
def check(
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave out what asks another machine.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Find everything that would make a run fail, in seconds, and list all of it at once.

    The file and the environment's overrides; paths, columns, variables, drivers, packages, weights,
    servers, credentials, space on the disk. `run` and the jobs of the UI start with the same look.
    """
    from vector_platform.preflight import look
    from vector_platform.wiring import read_deployment

    reading = read_deployment()
    problems = look(reading, connect=not offline).problems
    settings = reading.settings
    facts = {
        "problems": [{"place": one.place, "what": one.what} for one in problems],
        "sources": list(settings.sources) if settings else [],
        "models": list(settings.active_models) if settings else [],
        "backends": list(settings.indexes.backends) if settings else [],
        "data": str(settings.data_dir) if settings else None,
        "lake": masked(settings.lake_uri) if settings else None,
    }
    if as_json:
        say_json(facts)
    elif settings is not None and not problems:
        say(
            f"ok: {len(settings.sources)} source(s), {len(settings.active_models)} active model "
            f"version(s), backends {', '.join(settings.indexes.backends)}; lake {facts['lake']}"
        )
    else:
        say(f"{reading.origin}: {len(problems)} problem(s)")
        for one in problems:
            say(f"  - {one}")
    if problems:
        raise typer.Exit(Exit.FAILED)


@app.command()
def show(as_json: JsonFlag = False) -> None:
    """Print the settings as they are after defaults and overrides, without secrets."""
    import yaml

    from vector_platform.wiring import load_settings

    shown = masked_values(load_settings().model_dump(mode="json", by_alias=True))
    if as_json:
        say_json(shown)
        return
    say(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip())
