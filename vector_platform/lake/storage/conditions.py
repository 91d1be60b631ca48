"""Which rows of a table are wanted, as plain conditions.

Belongs here: turning conditions into Arrow filters that hold for every file of a Delta table.
Files written by a merge store strings as Arrow's string_view, and Arrow cannot compare the
statistics of such a column with a string. Casting the column avoids that; the price, statistics
inside a file, is paid back by skipping whole files by what the log says of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

# (column, operator, value); all conditions of a sequence must hold.
Condition = tuple[str, Literal["==", "!=", "<=", "in"], Any]


def row_filter(conditions: Sequence[Condition], schema: pa.Schema) -> ds.Expression:
    """The filter to scan with: exact, whatever type a file stores strings in."""
    return reduce(and_, (_compare(c, schema, cast=True) for c in conditions))


def file_filter(conditions: Sequence[Condition], schema: pa.Schema) -> ds.Expression:
    """The filter to choose files with, against what is known of them (`fragments.described`)."""
    return reduce(and_, (_compare(c, schema, cast=False) for c in conditions))


def sql_predicate(conditions: Sequence[Condition]) -> str:
    """The same conditions on text columns as the SQL that delta-rs writes by; None is null."""
    return " AND ".join(map(_in_sql, conditions))


def _in_sql(condition: Condition) -> str:
    name, operator, value = condition
    if value is None:
        return f"{name} IS {'NOT ' if operator == '!=' else ''}NULL"
    if operator == "in":
        return f"{name} IN ({', '.join(map(_quoted, value))})"
    return f"{name} {'=' if operator == '==' else operator} {_quoted(value)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _compare(condition: Condition, schema: pa.Schema, *, cast: bool) -> ds.Expression:
    name, operator, value = condition
    kind = schema.field(name).type
    field = pc.field(name)
    if cast and pa.types.is_string(kind):
        field = field.cast(kind)
    if operator == "in":
        return field.isin(pa.array(value, kind))
    scalar = pa.scalar(value, kind)
    if operator == "==":
        return field == scalar
    return field != scalar if operator == "!=" else field <= scalar
