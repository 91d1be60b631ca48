from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet
import pytest

from vector_platform.lake.contract import RELATIONS
from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.storage.damage import TableDamaged
from vector_platform.lake.storage.tables import Table

# Longer than the 64 characters to which Delta cuts its statistics.
PREFIX = "x" * 200


def relations(*subjects: str) -> pa.Table:
    rows = [
        {"subject": subject, "predicate": "p", "object": "o", "weight": 1.0, "source": "s"}
        for subject in subjects
    ]
    return pa.Table.from_pylist(rows, schema=RELATIONS.schema)


def subjects(table: Table, *conditions: Condition) -> set[str]:
    return set(table.read(["subject"], where=conditions).column("subject").to_pylist())


@pytest.fixture(params=["append", "merge"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    """Two files of two subjects each, written in the way that the parameter says."""
    table = Table(RELATIONS, str(tmp_path), None)
    write: Literal["append", "merge"] = request.param
    getattr(table, write)(relations(f"{PREFIX}a", f"{PREFIX}b"))
    getattr(table, write)(relations(f"{PREFIX}y", f"{PREFIX}zé"))
    return table


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (("subject", "==", f"{PREFIX}b"), {"b"}),
        (("subject", "==", f"{PREFIX}zé"), {"zé"}),
        (("subject", "==", "nobody"), set()),
        (("subject", "in", [f"{PREFIX}a", f"{PREFIX}y", "nobody"]), {"a", "y"}),
        (("subject", "in", []), set()),
        (("subject", "<=", f"{PREFIX}b"), {"a", "b"}),
        (("subject", "!=", f"{PREFIX}a"), {"b", "y", "zé"}),
        (("weight", "<=", 1), {"a", "b", "y", "zé"}),
    ],
    ids=[
        "equal",
        "equal to the last",
        "equal to none",
        "in",
        "in none",
        "at most",
        "not",
        "number",
    ],
)
def test_a_condition_finds_the_same_rows_however_a_file_was_written(
    written: Table, condition: Any, expected: set[str]
) -> None:
    assert subjects(written, condition) == {PREFIX + name for name in expected}


def test_all_conditions_must_hold(written: Table) -> None:
    both: list[Condition] = [("subject", "<=", f"{PREFIX}y"), ("subject", "!=", f"{PREFIX}a")]
    assert subjects(written, *both) == {f"{PREFIX}b", f"{PREFIX}y"}


def test_files_that_cannot_hold_a_wanted_row_are_not_read(tmp_path: Path) -> None:
    table = Table(RELATIONS, str(tmp_path), None)
    table.merge(relations("a", "b"))
    table.merge(relations("y", "z"))
    for file in (tmp_path / "relations").glob("*.parquet"):
        subjects_in_file = set(pa.parquet.read_table(file).column("subject").to_pylist())
        if subjects_in_file == {"y", "z"}:
            file.unlink()
    assert subjects(table, ("subject", "==", "a")) == {"a"}
    with pytest.raises(TableDamaged):
        subjects(table, ("subject", "==", "z"))
