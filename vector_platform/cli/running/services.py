"""`vector-platform services`: the embedded Milvus and Pinecone-compatible servers."""

from __future__ import annotations

import typer

from vector_platform.cli.output import JsonFlag, say, say_json, say_table

app = typer.Typer(no_args_is_help=True, help="Start, stop and inspect the embedded servers.")


@app.command()
def up(as_json: JsonFlag = False) -> None:
    """Start the servers that are not running; keep the others."""
    from vector_platform.local import services
    from vector_platform.wiring import load_settings

    endpoints = services.up(load_settings().data_dir)
    if as_json:
        say_json([{"name": one.name, "uri": one.uri, "pid": one.pid} for one in endpoints])
        return
    for endpoint in endpoints:
        say(f"{endpoint.name} is up at {endpoint.uri} (pid {endpoint.pid})")


@app.command()
def down(as_json: JsonFlag = False) -> None:
    """Stop the servers. What they hold stays in the data folder."""
    from vector_platform.local import services
    from vector_platform.wiring import load_settings

    stopped = services.down(load_settings().data_dir)
    if as_json:
        say_json({"stopped": stopped})
        return
    say(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


@app.command()
def status(as_json: JsonFlag = False) -> None:
    """Say which servers run, where, and why one died."""
    from vector_platform.local import services
    from vector_platform.wiring import load_settings

    states = services.status(load_settings().data_dir)
    if as_json:
        say_json([vars(state) for state in states])
        return
    say_table(
        "Embedded servers",
        ["name", "state", "address", "pid"],
        [[s.name, s.state, s.uri or "-", s.pid or "-"] for s in states],
    )
    for state in states:
        if state.state == "died":
            say(f"{state.name} died; the end of its log:\n{state.log_tail}")
