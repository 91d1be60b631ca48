"""Rows that bring a vector: what lands, what is rejected by name, and from which formats."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vector_platform.lake.contract import MAX_PASSAGE_BYTES
from vector_platform.lake.given import VectorColumn, given_vector
from vector_platform.lake.lake import Lake
from vector_platform.settings import FieldMapping, FilesSource
from vector_platform.sources.base import Source
from vector_platform.sources.files.source import FilesReader
from vector_platform.sources.frames import FrameReader
from vector_platform_tests.lake import building
from vector_platform_tests.sources.landings import land_rows, newest, rejects

MINE = VectorColumn("mine.v1", "v", 3)
FIELDS = FieldMapping(key="id", text="text", deleted="gone", vectors={"mine.v1": "v"})
GOOD = [0.6, 0.8, 0.0]
VECTORS = np.array([[0.6, 0.8, 0.0], [0.0, 0.28, 0.96]], np.float32)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return building.open_lake(tmp_path)


def row(key: str, vector: Any = GOOD, **more: Any) -> dict[str, Any]:
    return {"id": key, "text": f"text of {key}", "v": vector} | more


def test_what_is_no_vector_is_a_reject_and_the_account_adds_up(lake: Lake) -> None:
    found = [
        row("good"),
        row("short", [1.0]),
        row("nan", [float("nan"), 0.0, 1.0]),
        row("inf", [float("inf"), 0.0, 1.0]),
        row("zero", [0.0, 0.0, 0.0]),
        row("long", [3.0, 4.0, 0.0]),
        row("word", "0.6 0.8"),
        row("bytes", b"\0" * 12),
        row("array", np.array(GOOD)),
        row("none", None),
        {"id": "absent", "text": "text"},
        row("gone", None, gone=True),
        row("much", text="x" * (MAX_PASSAGE_BYTES + 1)),
    ]
    report = land_rows(lake, found, fields=FIELDS, vectors=[MINE])
    assert (report.rows_read, report.landed, report.rejected) == (13, 2, 11)
    reasons = rejects(lake)
    expected = {
        2: "bad vector: column 'v' has 1 numbers, and mine.v1 has 3",
        3: "bad vector: column 'v' holds null at place 0",
        4: "not representable: column 'v' holds inf",
        5: "bad vector: column 'v' is zero",
        6: "bad vector: column 'v' has length 5, not 1",
        7: "bad vector: column 'v' is a text that holds no JSON",
        8: "not representable: column 'v'",
        9: "not representable: column 'v'",
        10: "missing vector: column 'v' is empty",
        11: "missing vector: column 'v' is not in the row",
        13: "text too long: column 'text' holds 16385 bytes",
    }
    assert {int(place.rpartition(":")[2]) for place in reasons} == set(expected)
    for number, reason in expected.items():
        assert reasons[f"memory:{number}"].startswith(reason)


def test_a_row_with_a_vector_needs_no_text_and_one_without_does(lake: Lake) -> None:
    rows = [{"id": "a", "v": GOOD}, {"id": "b", "v": GOOD, "text": " "}]
    assert land_rows(lake, rows, fields=FIELDS, vectors=[MINE]).landed == 2
    unmapped = FieldMapping(key="id", vectors={"mine.v1": "v"})
    assert land_rows(lake, rows, fields=unmapped, vectors=[MINE], name="others").landed == 2
    plain = FieldMapping(key="id", text="text")
    assert land_rows(lake, rows, fields=plain, name="plain").landed == 0


def of_file(name: str, write: Callable[[Path], None], folder: Path) -> Source:
    write(folder / name)
    spec = FilesSource.model_validate({"kind": "files", "path": name, "fields": FIELDS})
    return FilesReader("notes", spec, folder)


def as_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "v"])
        writer.writerows(
            [key, "t", json.dumps(vector.tolist())]
            for key, vector in zip("ab", VECTORS, strict=True)
        )


def as_jsonl(path: Path) -> None:
    lines = (
        json.dumps({"id": key, "text": "t", "v": vector.tolist()})
        for key, vector in zip("ab", VECTORS, strict=True)
    )
    path.write_text("\n".join(lines), encoding="utf-8")


def as_parquet(kind: pa.DataType) -> Callable[[Path], None]:
    columns = {
        "id": ["a", "b"],
        "text": ["t", "t"],
        "v": pa.array([list(map(kind.value_type.to_pandas_dtype(), v)) for v in VECTORS], kind),
    }
    return lambda path: pq.write_table(pa.table(columns), path)


FRAME = pd.DataFrame({"id": ["a", "b"], "text": "t", "v": list(VECTORS)})
SOURCES: dict[str, Callable[[Path], Source]] = {
    "csv": lambda folder: of_file("v.csv", as_csv, folder),
    "jsonl": lambda folder: of_file("v.jsonl", as_jsonl, folder),
    "parquet": lambda folder: of_file("v.parquet", as_parquet(pa.list_(pa.float32())), folder),
    "fixed": lambda folder: of_file("v.parquet", as_parquet(pa.list_(pa.float32(), 3)), folder),
    "frame": lambda folder: FrameReader("notes", FRAME, "frame:notes"),
}


@pytest.mark.parametrize("opened", SOURCES.values(), ids=list(SOURCES))
def test_float32_keeps_its_bits_from_every_format(
    opened: Callable[[Path], Source], lake: Lake, tmp_path: Path
) -> None:
    assert land_rows(lake, opened(tmp_path), fields=FIELDS, vectors=[MINE]).landed == 2
    for key, vector in zip("ab", VECTORS, strict=True):
        landed = json.loads(newest(lake)[key]["payload"])["v"]
        assert np.array_equal(given_vector(landed, MINE), vector)
