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
        str, typer.Option(help="Address to listen on; loopback alone, as it speaks no TLS.")
    ] = "127.0.0.1",
    as_json: JsonFlag = False,
) -> None:
    """Answer searches over HTTP until Ctrl+C or a signal to end.

    Where keys were made (`keys create`), callers need one, and see rows of its tenants. Else it
    knows no callers, and whoever asks names the tenants. Either way it listens on this machine
    only, since it speaks no TLS: another address is refused. Requests under way are answered
    before it ends. With --json, one line with the address is printed once it answers.
    """
    # Before a library reads it: several threads for one short text wait for each other, ten times
    # as long as one thread works on it where the machine is busy.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from vector_platform.serving.http.access import KnownCallers, NobodyIsKnown
    from vector_platform.serving.http.app import create_app
    from vector_platform.serving.http.server import SearchServer, require_loopback
    from vector_platform.wiring import Platform

    require_loopback(host)
    platform, tell = Platform.load(), progress(as_json)
    try:
        # Once a key was made, its absence or loss opens nothing: that is decided at the start.
        known = platform.keys.exist()
        access = KnownCallers(platform.keys) if known else NobodyIsKnown()
        server = SearchServer(create_app(platform.searcher, access), host=host, port=port)
        for backend, problem in platform.searcher.warm_up().items():
            tell(f"{backend} answers nothing yet: {problem}")

        def answering() -> None:
            if as_json:
                say_json({"address": server.url, "callers_need_keys": known}, indent=None)
            else:
                say(f"search on {server.url}, {server.url}/openapi.json (stop with Ctrl+C)")
                say(
                    "Callers need a key (`vector-platform keys list`)"
                    if known
                    else "It knows no callers: whoever asks names the tenants, from this machine"
                )

        # A signal to end ends the service, and then this verb as it should, not in its middle.
        signal.signal(signal.SIGTERM, lambda *_: None)
        server.run(answering)
    finally:
        platform.close()
