"""`vector-platform serve`: the searcher over HTTP, for programs of this machine."""

from __future__ import annotations

import os
import signal
from typing import Annotated

import typer

from vector_platform.cli.output import JsonFlag, progress, say, say_json


def register(app: typer.Typer) -> None:
    """Add the verb to the root."""
    app.command()(serve)


def serve(
    port: Annotated[int, typer.Option(help="Port to serve on; 0 takes a free one.")] = 8300,
    host: Annotated[
        str, typer.Option(help="Address to listen on; loopback alone, since no caller is known.")
    ] = "127.0.0.1",
    as_json: JsonFlag = False,
) -> None:
    """Answer searches over HTTP until Ctrl+C or a signal to end.

    The service knows no callers: whoever asks names the tenants, so it listens on this machine
    only, and another address is refused. Requests under way are answered before it ends. With
    --json, one line with the address is printed once it answers.
    """
    # Before a library reads it: several threads for one short text wait for each other, ten times
    # as long as one thread works on it where the machine is busy.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from vector_platform.serving.http.app import create_app
    from vector_platform.serving.http.server import SearchServer, require_loopback
    from vector_platform.wiring import Platform

    require_loopback(host)
    platform, tell = Platform.load(), progress(as_json)
    try:
        server = SearchServer(create_app(platform.searcher), host=host, port=port)
        for backend, problem in platform.searcher.warm_up().items():
            tell(f"{backend} answers nothing yet: {problem}")

        def answering() -> None:
            if as_json:
                say_json({"address": server.url, "tenants": "named by whoever asks"}, indent=None)
            else:
                say(
                    f"search on {server.url}, {server.url}/openapi.json (stop with Ctrl+C). It "
                    "knows no callers: whoever asks names the tenants, from this machine only"
                )

        # A signal to end ends the service, and then this verb as it should, not in its middle.
        signal.signal(signal.SIGTERM, lambda *_: None)
        server.run(answering)
    finally:
        platform.close()
