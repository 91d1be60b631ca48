"""Table schemas of the contract as Dagster metadata.

Belongs here: from an Arrow schema to what the UI shows as columns.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from vector_platform.lake.contract import TableSpec
from vector_platform.lake.contract.columns import meaning
from vector_platform.masking import masked


def column_schema(spec: TableSpec) -> dg.TableSchema:
    """The columns of a lake table: what they hold, keys and nullability."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.name,
                type=str(field.type),
                description=_said(spec, field.name),
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in spec.schema
        ]
    )


def _said(spec: TableSpec, column: str) -> str | None:
    said = meaning(spec, column)
    return f"{said} Part of the key." if said and column in spec.keys else said


def table_metadata(spec: TableSpec, uri: str) -> Mapping[str, object]:
    """Definition metadata of an asset that is a lake table."""
    return {
        "dagster/column_schema": column_schema(spec),
        "dagster/uri": masked(uri),
        "keys": ", ".join(spec.keys),
    }
