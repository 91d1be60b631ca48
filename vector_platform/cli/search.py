"""`vector-platform search`: ask the live generations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from vector_platform.cli.choices import BadChoice, chosen_backends, chosen_filter
from vector_platform.cli.output import BackendOption, JsonFlag, say, say_json, say_table

if TYPE_CHECKING:
    from vector_platform.indexes.filtering.conditions import Condition
    from vector_platform.serving.search import SearchResult
    from vector_platform.wiring import Platform

# Characters of a hit that are shown.
_TITLE, _TEXT = 50, 90


def register(app: typer.Typer) -> None:
    """Add the verb to the root."""
    app.command()(search)


def search(
    text: Annotated[str, typer.Argument(help="What to look for.")],
    backend: BackendOption = "all",
    tenant: Annotated[str | None, typer.Option(help="Only this tenant; default all.")] = None,
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

    The query is embedded by the model that each live generation names. An answer is `degraded`
    while the generation that gives it is known to be broken, until it is proven again. A tenant
    that has no rows is an error.

    A filter compares attributes (eq, ne, in, nin, gt, gte, lt, lte, exists) and joins filters (and,
    or, not); docs/search.md says what each means.
    """
    from vector_platform.serving.search import BadQuery
    from vector_platform.wiring import Platform

    platform = Platform.load()
    condition = chosen_filter(platform.attribute_names, where)
    try:
        results = answers(platform, text, backend=backend, tenant=tenant, k=k, where=condition)
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
    backend: str = "all",
    tenant: str | None = None,
    k: int,
    where: Condition | None = None,
) -> list[SearchResult]:
    """What the chosen backends answer; the platform is closed."""
    try:
        return [
            platform.search_service.search(text, backend=name, tenant=tenant, k=k, where=where)
            for name in chosen_backends(platform.settings, backend)
        ]
    finally:
        platform.close()


def say_answers(results: Sequence[SearchResult]) -> None:
    """Print answers for people, and how many hits two backends have in common."""
    for result in results:
        if result.degraded:
            say(
                f"{result.backend}: degraded, rows may be missing or wrong until "
                f"{result.generation} is proven again: {result.doubt}"
            )
        if result.notice:
            say(f"{result.backend}: {result.notice}")
        say_table(
            f"{result.backend}: {result.model_version}, generation {result.generation}, "
            f"{result.snapshot}, {result.seconds * 1000:.0f} ms",
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
