"""`vector-platform search`: ask the live generations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vector_platform.cli.choices import BadChoice, chosen_backends, chosen_filter
from vector_platform.cli.output import BackendOption, JsonFlag, say, say_json, say_table

if TYPE_CHECKING:
    from vector_platform.indexes.contract import Scope
    from vector_platform.indexes.filtering.conditions import Condition
    from vector_platform.serving.answers import Answer
    from vector_platform.wiring import Platform

# Characters of a hit that are shown.
_TITLE, _TEXT = 50, 90


def register(app: typer.Typer) -> None:
    """Add the verb to the root."""
    app.command()(search)


def search(
    text: Annotated[str, typer.Argument(help="What to look for.")],
    backend: BackendOption = "all",
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="Only this tenant; may be repeated. Without it: all, as operators may."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Number of hits.")] = 10,
    where: Annotated[
        str | None,
        typer.Option(
            "--filter",
            metavar="JSON",
            help="Only rows whose attributes meet this, as "
            '{"type": "eq", "key": "severity", "value": "high"}.',
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Search the live generations, side by side.

    Without --tenant rows of every tenant are found, which is an operator's view: the command line
    has the rights of whoever can read the lake.

    The query is embedded by the model that each live generation names. An answer is `degraded`
    while the generation that gives it is known to be broken, until it is proven again. A tenant
    that has no rows is an error.

    A filter compares attributes (eq, ne, in, nin, gt, gte, lt, lte, exists) and joins filters (and,
    or, not); docs/search.md says what each means.
    """
    from vector_platform.indexes.contract import Scope
    from vector_platform.serving.answers import BadQuery, UnknownTenant
    from vector_platform.wiring import Platform

    platform = Platform.load()
    condition = chosen_filter(platform.attribute_names, where)
    try:
        scope = Scope.of(*tenant) if tenant else Scope.all_tenants()
        results = answers(platform, text, scope=scope, backend=backend, k=k, where=condition)
    except UnknownTenant:
        raise  # the command line is right; nobody is called that
    except BadQuery as error:
        raise BadChoice(str(error)) from error
    if as_json:
        say_json([result.as_json() for result in results])
        return
    say_answers(results)


def answers(
    platform: Platform,
    text: str,
    *,
    scope: Scope,
    backend: str = "all",
    k: int,
    where: Condition | None = None,
) -> list[Answer]:
    """What the chosen backends answer; the platform is closed."""
    try:
        return [
            platform.searcher.search(text, scope=scope, backend=name, k=k, filter=where)
            for name in chosen_backends(platform.settings, backend)
        ]
    finally:
        platform.close()


def say_answers(results: Sequence[Answer]) -> None:
    """Print answers for people, and how many hits two backends have in common."""
    for result in results:
        source = result.source
        if source.degraded:
            say(
                f"{source.backend}: degraded, rows may be missing or wrong until "
                f"{source.generation} is proven again: {source.doubt}"
            )
        if result.notice:
            say(f"{source.backend}: {result.notice}")
        say_table(
            f"{source.backend}: {source.model_version}, generation {source.generation}, "
            f"{source.snapshot}, {result.seconds * 1000:.0f} ms",
            ["score", "tenant", "title", "document", "text"],
            [
                [
                    f"{hit.score:.4f}",
                    hit.tenant,
                    _excerpt(hit.title, _TITLE),
                    hit.doc_id,
                    _excerpt(hit.text, _TEXT),
                ]
                for hit in result.hits
            ],
        )
    if len(results) == 2:
        first, second = ({hit.id for hit in result.hits} for result in results)
        say(f"{len(first & second)} of {max(len(first), len(second))} hits in common")


def _excerpt(text: str, most: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"
