"""Pictures and tables as metadata of checks.

Belongs here: what more than one check needs to be seen in the Dagster UI.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dagster as dg

from vector_platform.quality.pictures.markdown import table
from vector_platform.quality.pictures.plots import as_markdown


def picture(png: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """A picture with its bytes inside."""
    return dg.MetadataValue.md(as_markdown(png, alt))


def shown_table(
    columns: Sequence[object], rows: Iterable[Sequence[object]]
) -> dg.MarkdownMetadataValue:
    """A table."""
    return dg.MetadataValue.md("\n".join(table(columns, rows)))
