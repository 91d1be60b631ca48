"""Parquet: types, damage, and what JSON has no form of."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vector_platform.settings import FieldMapping
from vector_platform.sources.base import Reject
from vector_platform.sources.landing.payload import jsonable
from vector_platform_tests.sources.files.reading import WINDOW, noted, opened, read, values

MIB = 1024 * 1024


def test_parquet_rows_keep_their_types(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2], "tags": [["a"], None], "day": [date(2026, 1, 1), None]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows, _ = read(tmp_path, "a.parquet")
    assert values(rows) == table.to_pylist()
    assert [row.place for row in rows] == ["a.parquet#1", "a.parquet#2"]


@pytest.mark.parametrize("damage", ["cut", "page", "text"])
def test_a_damaged_parquet_file_is_a_reject(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [str(n) for n in range(5000)]}), file)
    content = bytearray(file.read_bytes())
    if damage == "cut":
        content = content[:-20]
    elif damage == "page":
        content[4:60] = bytes(56)
    else:
        content = bytearray(b"id,text\n")
    file.write_bytes(content)
    _, rejects = read(tmp_path, "a.parquet")
    assert [r.reason.split(":")[0] for r in rejects] == ["unreadable file"]


def test_a_parquet_value_that_python_cannot_hold_loses_its_row_alone(tmp_path: Path) -> None:
    late = pa.array([0, 2**50, 1], pa.timestamp("ms"))
    raw = pa.array([b"one", b"two", b"caf\xe9"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": [1, 2, 3], "at": late, "text": raw}), tmp_path / "a.parquet")
    rows, rejects = read(tmp_path, "a.parquet")
    assert [row.values["id"] for row in rows] == [1]
    assert [(r.place, r.reason.split(": ")[:2]) for r in rejects] == [
        ("a.parquet#2", ["not representable", "column 'at'"]),
        ("a.parquet#3", ["not representable", "column 'text'"]),
    ]


@pytest.mark.parametrize(
    ("column", "landed"),
    [
        (pa.array(["1.50"]).cast(pa.decimal128(9, 2)), 1.5),
        (pa.array(["12345678901234567890.5"]).cast(pa.decimal128(38, 1)), "12345678901234567890.5"),
        (pa.array([date(2026, 1, 2)]), "2026-01-02"),
        (pa.array([0], pa.timestamp("us", tz="Europe/Paris")), "1970-01-01T00:00:00+00:00"),
        (pa.array([0], pa.timestamp("ms", tz="Nowhere/Atall")), "1970-01-01T00:00:00+00:00"),
        (pa.array([1], pa.timestamp("ns")), "1970-01-01T00:00:00.000000001+00:00"),
        (pa.array([1], pa.time64("ns")), "00:00:00.000000001"),
        (pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
        (pa.array([float("nan")]), None),
        (pa.array([{"a": [1, None]}]), {"a": [1, None]}),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int32())), [["a", 1]]),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.nulls(1), None),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_every_type_lands_as_the_contract_says(
    tmp_path: Path, column: pa.Array, landed: Any
) -> None:
    pq.write_table(pa.table({"v": column}), tmp_path / "a.parquet")
    (row,), rejects = read(tmp_path, "a.parquet")
    assert jsonable(row.values) == {"v": landed} and not rejects


@pytest.mark.parametrize(
    ("columns", "twice"),
    [
        ({"id": pa.array([1]), "id ": pa.array([2])}, "id"),
        ({"m": pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"])}, "m.x"),
    ],
)
def test_a_column_that_is_there_twice_refuses_the_file(
    tmp_path: Path, columns: dict[str, pa.Array], twice: str
) -> None:
    names = [name.strip() for name in columns]
    pq.write_table(pa.table(list(columns.values()), names=names), tmp_path / "a.parquet")
    rows, rejects = read(tmp_path, "a.parquet")
    reason = f"malformed parquet: the file has column {twice!r} twice"
    assert (rows, [(r.place, r.reason) for r in rejects]) == ([], [("a.parquet", reason)])


def test_a_column_that_json_has_no_form_of_is_left_out_unless_it_is_mapped(tmp_path: Path) -> None:
    table = pa.table({"id": [1], "picture": [b"x"], "taken": pa.array([1], pa.duration("s"))})
    pq.write_table(table, tmp_path / "a.parquet")
    assert values(read(tmp_path, "a.parquet")[0]) == [{"id": 1}]
    assert [note.split(":")[0] for note in noted(tmp_path, "a.parquet")] == [
        "column 'picture' (binary) left out",
        "column 'taken' (duration[s]) left out",
    ]
    mapped = FieldMapping(key="id", text="picture")
    assert values(read(tmp_path, "a.parquet", fields=mapped)[0]) == [{"id": 1, "picture": b"x"}]


def test_a_time_with_a_zone_is_the_same_instant(tmp_path: Path) -> None:
    at = datetime(2026, 7, 1, 12, tzinfo=UTC)
    column = pa.array([at], pa.timestamp("us", tz="America/New_York"))
    pq.write_table(pa.table({"at": column}), tmp_path / "a.parquet")
    assert values(read(tmp_path, "a.parquet")[0]) == [{"at": at}]


def dictionary_of(text: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))


@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
def test_a_text_that_all_rows_name_is_written_out_for_one_row_at_a_time(
    tmp_path: Path, nested: bool
) -> None:
    texts, rows = dictionary_of("x" * (2 * MIB), 600), 600
    if nested:
        texts = pa.StructArray.from_arrays([texts], ["inner"])
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"v": texts}), file, store_schema=False)
    limits = {"unpacked_mib": 1100, "unpacked_ratio": 10**6}
    tracemalloc.start()
    before, seen = pa.total_allocated_bytes(), 0
    try:
        for row in opened(tmp_path, "a.parquet", limits=limits).read(WINDOW):
            if isinstance(row, Reject):
                assert "over a limit: the file unpacks to more than 1100 MiB" in row.reason
            else:
                seen += 1
                assert pa.total_allocated_bytes() - before < 30 * MIB
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Two batches of 256 rows are under the limit, the third is not.
    assert seen == 512 < rows
    assert most < 30 * MIB


def test_a_column_that_is_packed_thousandfold_is_refused_before_it_is_unpacked(
    tmp_path: Path,
) -> None:
    table = pa.table({"id": ["a"] * 9, "text": dictionary_of("x" * (40 * MIB), 9)})
    pq.write_table(table, tmp_path / "a.parquet", store_schema=False, compression="zstd")
    before = pa.total_allocated_bytes()
    rows, (reject,) = read(tmp_path, "a.parquet")
    assert not rows and "limits.unpacked_ratio: 200" in reject.reason
    assert pa.total_allocated_bytes() - before < MIB


def test_texts_of_a_large_dictionary_are_read_as_they_are(tmp_path: Path) -> None:
    texts = [f"{number % 4000} {'a long text ' * 40}" for number in range(6000)]
    values_ = [None if number % 7 == 0 else text for number, text in enumerate(texts)]
    table = pa.table({"v": values_, "in": [[text, None] for text in values_]})
    pq.write_table(table, tmp_path / "a.parquet", store_schema=False)
    rows, rejects = read(tmp_path, "a.parquet")
    assert values(rows) == table.to_pylist() and not rejects
