"""`vector-platform demo-drift`: three stories of drift, played by the real daemon."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from vector_platform.cli.output import JsonFlag, progress, say_json


def register(app: typer.Typer) -> None:
    """Add the verb to the root."""
    app.command(name="demo-drift")(demo_drift)


def demo_drift(
    story: Annotated[
        int | None, typer.Option(min=1, max=3, help="Play only this one of the three.")
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="Where the stories' deployments are made; emptied first.")
    ] = Path(".drift-demo"),
    keep: Annotated[
        bool, typer.Option(help="Leave the servers running, to look at the deployments.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Let drift happen to deployments of their own, and follow what the daemon does about it.

    1: the topic of the stream moves. 2: the embedding model is swapped behind its name. 3: an IVF
    index is older than what it holds. A story that does not reach its end fails the command.
    """
    from vector_platform.demo.stories import STORIES, play

    # As Ctrl+C does: whatever was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started, say = time.monotonic(), progress(as_json)
    played = {number: folder / f"story-{number}" for number in ([story] if story else STORIES)}
    for number, place in sorted(played.items()):
        play(number, place, say, keep=keep)
        if keep:
            say(f"look at it: VECTOR_PLATFORM_CONFIG={place}/platform.yaml vector-platform ui")
        say("")
    seconds = time.monotonic() - started
    if as_json:
        stories = [
            {"story": number, "title": STORIES[number].title, "folder": str(place)}
            for number, place in sorted(played.items())
        ]
        say_json({"stories": stories, "seconds": round(seconds, 1)})
        return
    say(f"played to the end in {seconds:.0f} s")
