"""`vector-platform ui`: Dagster's web server and daemon on this deployment."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Annotated
from urllib.request import urlopen

import typer

from vector_platform.cli.output import JsonFlag, progress, say, say_json

_ASK_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add the verb to the root."""
    app.command()(ui)


def ui(
    port: Annotated[int, typer.Option(help="Port of the web server.")] = 3000,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. The web server has no login: see operations.md."),
    ] = "127.0.0.1",
    as_json: JsonFlag = False,
) -> None:
    """Open the Dagster UI and daemon on this deployment, and start again whichever ends.

    With --json, one line with the address is printed once it answers.
    """
    from vector_platform.local.supervisor import Supervisor
    from vector_platform.orchestration.runs.instance import dagster_home
    from vector_platform.wiring import load_settings

    settings = load_settings()
    home = dagster_home(settings)
    os.environ["DAGSTER_HOME"] = str(home)
    workspace = ["--workspace", str(settings.root / "workspace.yaml")]
    scripts = Path(sys.executable).parent
    tell = progress(as_json)
    tell("starting the Dagster UI and the daemon (stop with Ctrl+C)")
    threading.Thread(
        target=tell_when_it_answers, args=(host, port), kwargs={"as_json": as_json}, daemon=True
    ).start()

    def command(script: str, *arguments: str) -> list[str]:
        return [sys.executable, str(scripts / script), *arguments, *workspace]

    Supervisor(
        {
            "web server": command("dagster-webserver", "--host", host, "--port", str(port)),
            "daemon": command("dagster-daemon", "run"),
        },
        folder=settings.data_dir / "ui",
        say=tell,
        # The web server answers without its code server, and starts no run. The daemon gets
        # another one by itself.
        parents={"web server"},
    ).run()


def tell_when_it_answers(host: str, port: int, *, as_json: bool) -> None:
    """Tell the address of the UI once it can be opened."""
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    while True:
        try:
            with urlopen(f"{address}/server_info", timeout=5):
                break
        except OSError:
            time.sleep(_ASK_SECONDS)
    if as_json:
        say_json({"address": address}, indent=None)
    else:
        say(f"Dagster UI on {address}")
