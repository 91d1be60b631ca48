"""`vector-platform index adopt`, and whose the generations of `index status` are.

Belongs here: showing what adopting would change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vector_platform.cli.choices import BadChoice, chosen_backends
from vector_platform.cli.launching import launch, launches, open_runs
from vector_platform.cli.output import BackendOption, JsonFlag, say, say_json

if TYPE_CHECKING:
    from vector_platform.settings import BackendName
    from vector_platform.wiring import Platform


@launches("adopt_index")
def adopt(
    backend: BackendOption = "all",
    reason: Annotated[
        str, typer.Option(help="Why it is taken over; kept for good. Without it, only compare.")
    ] = "",
    by: Annotated[
        str, typer.Option(help="Who decides it; default: the user that the deployment names.")
    ] = "",
    accept_differences: Annotated[
        int, typer.Option(help="Let so many rows differ from this lake.")
    ] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Compare an index that is not this lake's with it; with --reason, take it over."""
    from vector_platform.orchestration.indexes.adoption_jobs import AdoptConfig

    if by and not reason.strip():
        raise BadChoice("--by needs --reason, which is kept beside it")
    runs = open_runs()
    config = AdoptConfig(
        backends=list(chosen_backends(runs.platform.settings, backend)),
        actor=by,
        reason=reason,
        accept_differences=accept_differences,
    )
    compared = launch(runs, config).output
    if as_json:
        say_json(compared)
        return
    for name, found in compared.items():
        for told in found["differs"]:
            say(told)
        if not found["differs"]:
            say(f"{name}: everything of {found['index']} is this lake's")
        elif not found["adopted"]:
            say("  To take it over: --reason WHY")
        for generation in found["adopted"]:
            say(f"{name} {generation}: this lake's; the next sync compares all of it")


def whose(platform: Platform, backend: BackendName) -> dict[str, str]:
    """Generation -> `this lake`, or why not, as the backend says; empty when it does not answer."""
    from vector_platform.errors import VectorPlatformError

    try:
        found = platform.index_sync(backend, run_id="cli").ownership.looked_at()
    except VectorPlatformError:  # the records are shown without
        return {}
    return {
        claim.generation.name: "this lake" if objection is None else objection.partition(". ")[0]
        for claim, objection in found
    }
