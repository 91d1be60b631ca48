"""`vector-platform config`: the settings, checked and shown."""

from __future__ import annotations

import typer

from vector_platform.cli.output import JsonFlag, say, say_json
from vector_platform.masking import masked, masked_values

app = typer.Typer(no_args_is_help=True, help="Check and show platform.yaml.")


@app.command()
def check(as_json: JsonFlag = False) -> None:
    """Validate platform.yaml and the environment's overrides; list every problem.

    Ends with 2 when something that it names is not installed.
    """
    from vector_platform.wiring import Platform

    platform = Platform.load()
    settings, missing = platform.settings, platform.missing_extras()
    counts = {
        "sources": list(settings.sources),
        "models": list(settings.active_models),
        "backends": list(settings.indexes.backends),
        "data": str(settings.data_dir),
        "lake": masked(settings.lake_uri),
        "not_installed": missing,
    }
    if as_json:
        say_json(counts)
    else:
        say(
            f"ok: {len(settings.sources)} source(s), {len(settings.active_models)} active model "
            f"version(s), backends {', '.join(settings.indexes.backends)}; lake {counts['lake']}"
        )
        for line in missing:
            say(line)
    if missing:
        raise typer.Exit(2)


@app.command()
def show() -> None:
    """Print the settings as they are after defaults and overrides, without secrets."""
    from vector_platform.wiring import load_settings

    say_json(masked_values(load_settings().model_dump(mode="json", by_alias=True)))
