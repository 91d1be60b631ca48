"""Table schemas of the contract as Dagster metadata.

Belongs here: from an Arrow schema to what the UI shows as columns.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from vector_platform.lake.contract import TableSpec
from vector_platform.masking import masked


def column_schema(spec: TableSpec) -> dg.TableSchema:
    """The columns of a lake table, with keys and nullability."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.name,
                type=str(field.type),
                description="part of the key" if field.name in spec.keys else None,
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in spec.schema
        ]
    )


def table_metadata(spec: TableSpec, uri: str) -> Mapping[str, object]:
    """Definition metadata of an asset that is a lake table."""
    return {
        "dagster/column_schema": column_schema(spec),
        "dagster/uri": masked(uri),
        "keys": ", ".join(spec.keys),
    }
