"""What would keep a source from landing, told before anything is read.

Belongs here: opening a source, looking at it, and holding the columns that it shows against those
that its section maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vector_platform.problems import Problem, nearest
from vector_platform.settings import (
    Constant,
    GoldenQueries,
    SettingsError,
    SourceSettings,
    SqlSource,
)
from vector_platform.sources.base import Look, Source, SourceInvalid, SourceUnreachable
from vector_platform.sources.golden import JUDGEMENTS_FILE, QUERIES_FILE
from vector_platform.sources.registry import open_source

_SHOWN_COLUMNS = 12


def look_at_source(
    name: str, spec: SourceSettings, root: Path, *, packages: Sequence[str], connect: bool
) -> tuple[Look, list[Problem]]:
    """A look at a source, and what is wrong with it.

    Args:
        name: Name of the source.
        spec: Its section.
        root: Folder of `platform.yaml`.
        packages: As in `open_source`.
        connect: Whether other machines may be asked.
    """
    part = ("sources", name)
    try:
        look = open_source(name, spec, root, packages=packages).look(connect=connect)
    except SettingsError as error:
        return Look(), [Problem((*part, "url"), problem) for problem in error.problems]
    except (SourceInvalid, SourceUnreachable) as error:
        return Look(), [Problem(part, error.why)]
    return look, list(_unknown_columns(part, spec, look))


def require_columns(name: str, spec: SourceSettings, source: Source) -> None:
    """See that a source has the columns that its section maps, before it is read.

    Raises:
        SourceInvalid: It has not; all of them are named.
        SourceUnreachable: As in `Source.look`.
    """
    problems = list(_unknown_columns((), spec, source.look(connect=True)))
    if problems:
        raise SourceInvalid(name, "; ".join(map(str, problems)))


def golden_problems(name: str, spec: GoldenQueries, root: Path) -> Iterator[Problem]:
    """What is missing of a folder of golden queries."""
    if spec.path is None:
        return
    folder = root / Path(spec.path).expanduser()
    for file in (QUERIES_FILE, JUDGEMENTS_FILE):
        if not (folder / file).is_file():
            yield Problem(("golden_queries", name, "path"), f"there is no {spec.path}/{file}")


def _unknown_columns(part: tuple[str, ...], spec: SourceSettings, look: Look) -> Iterator[Problem]:
    for setting, column in _mapped(spec):
        near = nearest(column, look.columns)
        # A column that later rows may have is missed only when it looks like a slip; and where
        # nothing is gone, nothing says so.
        may_come = not look.every_column or setting == ("fields", "deleted")
        if column in look.columns or not look.columns or (may_come and not near):
            continue
        shown = ", ".join(look.columns[:_SHOWN_COLUMNS])
        more = len(look.columns) - _SHOWN_COLUMNS
        others = f"{shown} and {more} more" if more > 0 else shown
        yield Problem((*part, *setting), f"there is no column {column!r}{near} (columns: {others})")


def _mapped(spec: SourceSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every setting that names a column, and the column."""
    fields = spec.fields
    for name in ("key", "text", "title", "tenant", "region", "time", "deleted"):
        column = getattr(fields, name)
        if column is not None and not isinstance(column, Constant):
            yield ("fields", name), column
    for name, columns in (
        ("attributes", fields.attribute_columns),
        ("relations", fields.relations),
    ):
        for field, column in columns.items():
            yield ("fields", name, field), column
    if isinstance(spec, SqlSource) and spec.cursor is not None:
        yield ("cursor",), spec.cursor
