"""Files: tables and documents, good ones and broken ones."""

from __future__ import annotations

import gzip
import os
from datetime import date
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vector_platform.lake.lake import Lake
from vector_platform.settings import FilesSource
from vector_platform.sources.base import (
    DayWindow,
    Reject,
    SourceInvalid,
    SourceRow,
    SourceUnreachable,
)
from vector_platform.sources.registry import open_source
from vector_platform_tests.sources.landings import land_rows, newest
from vector_platform_tests.sources.paper import docx_bytes, pdf_bytes

WINDOW = DayWindow(date(2026, 11, 1))


def read(root: Path, path: str, **more: Any) -> tuple[list[SourceRow], list[Reject]]:
    spec = FilesSource.model_validate({"kind": "files", "path": path, **more})
    found = list(open_source("notes", spec, root).read(WINDOW))
    assert len({item.place for item in found}) == len(found), "places are unique"
    return (
        [item for item in found if isinstance(item, SourceRow)],
        [item for item in found if isinstance(item, Reject)],
    )


def values(rows: list[SourceRow]) -> list[dict[str, Any]]:
    return [row.values for row in rows]


# -- csv ----------------------------------------------------------------------------------------


def test_csv_rows_know_their_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'id,text\r\n1,one\r\n2,"two\r\nlines"\r\n\r\n3,three\r\n')
    rows, rejects = read(tmp_path, "a.csv")
    assert values(rows) == [
        {"id": "1", "text": "one"},
        {"id": "2", "text": "two\r\nlines"},
        {"id": "3", "text": "three"},
    ]
    assert [row.place for row in rows] == ["a.csv:2", "a.csv:3", "a.csv:6"]
    assert rejects == [] and rows[0].uri == "a.csv"


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfid,text\n1,\xc3\xa9\n")
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"id": 1}\n')
    assert values(read(tmp_path, "a.csv")[0]) == [{"id": "1", "text": "é"}]
    assert values(read(tmp_path, "b.jsonl")[0]) == [{"id": 1}]


def test_a_line_that_is_not_utf_8_is_rejected_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,text\n1,one\n2,caf\xe9\n3,three\n")
    rows, rejects = read(tmp_path, "a.csv")
    assert [row["id"] for row in values(rows)] == ["1", "3"]
    assert [(r.place, r.reason) for r in rejects] == [("a.csv:3", "bad encoding: not UTF-8")]


def test_ragged_rows_are_rejected_with_both_widths(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1\n2,two\n3,three,3\n")
    rows, rejects = read(tmp_path, "a.csv")
    assert [row["id"] for row in values(rows)] == ["2"]
    assert [r.reason for r in rejects] == [
        "ragged row: 1 cells under 2 column names",
        "ragged row: 3 cells under 2 column names",
    ]


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b'id,text\n1,"never closed\n2,two\n', 2, "malformed csv: unexpected end of data"),
        (b'id,text\n1,"a"b\n', 2, "malformed csv: ',' expected after '\"'"),
        (b"id,id\n1,2\n", 1, "malformed csv: the header names a column twice"),
        ("id,text\n1,one\n".encode("utf-16"), 1, "bad encoding: not UTF-8"),
    ],
    ids=["open-quote", "stray-quote", "double-header", "utf-16"],
)
def test_malformed_csv_is_a_reject_and_no_crash(
    tmp_path: Path, content: bytes, line: int, reason: str
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    rows, rejects = read(tmp_path, "a.csv")
    assert (rows, [(r.place, r.reason) for r in rejects]) == ([], [(f"a.csv:{line}", reason)])


def test_an_empty_csv_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"")
    assert read(tmp_path, "a.csv") == ([], [])


def test_a_cell_may_be_longer_than_pythons_own_limit(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"id,text\n1,{'x' * 200_000}\n")
    assert len(read(tmp_path, "a.csv")[0]) == 1


def test_tabs_and_compression_are_told_by_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("id\ttext\n1\ta,b\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"id,text\n2,two\n"))
    rows, _ = read(tmp_path, "*")
    assert values(rows) == [{"id": "1", "text": "a,b"}, {"id": "2", "text": "two"}]


@pytest.mark.parametrize("cut", [5, 20, -4])
def test_a_damaged_archive_is_a_reject_of_its_file(tmp_path: Path, cut: int) -> None:
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"id,text\n2,two\n")[:cut])
    (tmp_path / "c.csv").write_text("id,text\n3,three\n")
    rows, rejects = read(tmp_path, "*")
    assert "3" in [row["id"] for row in values(rows)]
    assert [(r.place, r.reason.split(":")[0]) for r in rejects] == [("b.csv.gz", "unreadable file")]


# -- jsonl and parquet --------------------------------------------------------------------------


def test_bad_json_lines_are_rejected_with_their_line(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    lines = [b'{"id": 1}', b"{oops", b"[1]", b"", b'{"id": "\xff"}', deep, b'{"id": 2}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    rows, rejects = read(tmp_path, "a.jsonl")
    assert [(row.place, row.values["id"]) for row in rows] == [("a.jsonl:1", 1), ("a.jsonl:7", 2)]
    assert [(r.place, r.reason.split(":")[0]) for r in rejects] == [
        ("a.jsonl:2", "malformed json"),
        ("a.jsonl:3", "malformed json"),
        ("a.jsonl:5", "bad encoding"),
        ("a.jsonl:6", "malformed json"),
    ]


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


def test_a_damaged_bz2_is_a_reject_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "b.csv.bz2").write_bytes(b"BZh91AY&SY" + b"damaged" * 20)
    (tmp_path / "c.csv").write_text("id,text\n3,three\n")
    rows, rejects = read(tmp_path, "*")
    assert [row.place for row in rows] == ["c.csv:2"]
    assert [(r.place, r.reason.split(":")[0]) for r in rejects] == [
        ("b.csv.bz2", "unreadable file")
    ]


# -- documents ----------------------------------------------------------------------------------


def test_every_kind_of_document_gives_one_row_with_title_and_text(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("# Alpha *one*\n\nBody of **a**.\n\n```\n# no heading\n```\n")
    (folder / "b.txt").write_bytes("Plain text, 5 €.\r\nSecond line.".encode())
    (folder / "c.html").write_text(
        "<html><head><title>See &amp; say</title><style>p {}</style></head><body>"
        "<h1>Heading</h1><p>One <b>bold</b> word.</p><ul><li>first</li><li>second</li></ul>"
        "<!-- hidden --><script>let x = '<p>no</p>';</script><p>a &lt; b</p></body></html>"
    )
    (folder / "sub" / "d.pdf").write_bytes(pdf_bytes("Hello from paper"))
    (folder / "e.docx").write_bytes(docx_bytes("Report", "Findings of the year."))
    rows, rejects = read(tmp_path, "docs")
    assert rejects == []
    found = {row.values["path"]: row.values for row in rows}
    assert list(found) == ["a.md", "b.txt", "c.html", "e.docx", "sub/d.pdf"]
    assert found["a.md"]["title"] == "Alpha *one*"
    assert found["a.md"]["text"] == "Body of **a**.\n\n```\n# no heading\n```"
    assert (found["b.txt"]["title"], found["b.txt"]["text"]) == (
        "b",
        "Plain text, 5 €.\nSecond line.",
    )
    assert found["c.html"]["title"] == "See & say"
    assert found["c.html"]["text"] == ("# Heading\n\nOne bold word.\n\nfirst\nsecond\n\na < b")
    assert (found["e.docx"]["title"], found["e.docx"]["text"]) == (
        "Report",
        "Findings of the year.",
    )
    assert found["sub/d.pdf"]["text"] == "Hello from paper"
    assert found["sub/d.pdf"]["title"] == "d"
    assert found["sub/d.pdf"]["mime"] == "application/pdf"
    assert rows[0].uri == "docs/a.md"


def test_the_time_a_file_was_written_comes_along(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    os.utime(tmp_path / "a.md", (1_790_000_000, 1_790_000_000))
    assert read(tmp_path, "a.md")[0][0].values["modified"] == "2026-09-21T14:13:20+00:00"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.pdf", b"%PDF-1.4\nnot really", "unreadable file"),
        ("a.pdf", b"", "unreadable file"),
        ("a.pdf", pdf_bytes(""), "no text"),
        ("a.docx", b"PK\x03\x04 broken", "unreadable file"),
        ("a.md", b"caf\xe9", "bad encoding"),
        ("a.txt", b" \n", "no text"),
        ("a.html", b"<script>only()</script>", "no text"),
        ("a.html", b"<p>caf\xe9</p>", "bad encoding"),
        ("a.xyz", b"what is it", "unknown format"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_broken_document_is_a_reject_that_names_the_file(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.md").write_text("fine")
    rows, rejects = read(tmp_path, "*.*")
    assert [row.values["path"] for row in rows] == ["good.md"]
    assert [(r.place, r.reason.split(":")[0]) for r in rejects] == [(name, kind)]


def test_html_in_another_encoding_is_read_as_it_declares(tmp_path: Path) -> None:
    page = '<html><head><meta charset="iso-8859-1"></head><body><p>café</p></body></html>'
    (tmp_path / "a.html").write_bytes(page.encode("latin-1"))
    assert read(tmp_path, "a.html")[0][0].values["text"] == "café"


def test_tags_that_are_never_closed_do_not_hide_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"<div>" * 5000 + b"deep")
    (tmp_path / "b.html").write_text("<head><title>T</title><body><p>No end of head")
    texts = [row.values["text"] for row in read(tmp_path, "*.html")[0]]
    assert texts == ["deep", "No end of head"]


def test_a_document_that_became_unreadable_stays_in_the_lake(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    folder = tmp_path / "docs"
    folder.mkdir()
    spec = FilesSource(kind="files", path="docs")
    for name in ("a", "b", "c"):
        (folder / f"{name}.md").write_text(f"text of {name}")
    land_rows(lake, open_source("notes", spec, tmp_path), fields=spec.fields)
    (folder / "a.md").write_bytes(b"\xff\xfe\xfa")
    (folder / "c.md").unlink()
    report = land_rows(lake, open_source("notes", spec, tmp_path), fields=spec.fields)
    assert (report.removed, report.rejected) == (1, 1)
    assert set(newest(lake)) == {"a.md", "b.md"}


# -- places -------------------------------------------------------------------------------------


def test_a_folder_gives_what_is_known_and_leaves_out_the_rest(tmp_path: Path) -> None:
    for name in ("a.md", "b.png", ".hidden.md", ".git/c.md"):
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text("text")
    rows, rejects = read(tmp_path, "docs")
    assert [row.values["path"] for row in rows] == ["a.md"] and rejects == []


def test_globs_reach_into_folders_and_keys_are_relative_to_their_fixed_part(
    tmp_path: Path,
) -> None:
    for name in ("x/a.md", "x/y/b.md"):
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text("text")
    rows, _ = read(tmp_path, "docs/**/*.md")
    assert [row.values["path"] for row in rows] == ["x/a.md", "x/y/b.md"]


def test_an_fsspec_url_is_read_like_a_path(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/landing/one/a.csv", b"id,text\n1,one\n")
    memory.pipe("/landing/one/b.md", b"# Title\n\nBody")
    try:
        rows, _ = read(tmp_path, "memory://landing/one")
        assert [row.uri for row in rows] == [
            "memory:///landing/one/a.csv",
            "memory:///landing/one/b.md",
        ]
        assert rows[1].values["path"] == "b.md" and rows[1].values["title"] == "Title"
        assert len(read(tmp_path, "memory://landing/*/*.csv")[0]) == 1
    finally:
        memory.rm("/landing", recursive=True)


@pytest.mark.parametrize("path", ["missing.csv", "missing/*.md", "memory://missing/a.csv"])
def test_a_place_that_is_not_there_is_unreachable(tmp_path: Path, path: str) -> None:
    with pytest.raises(SourceUnreachable, match="source 'notes' cannot be reached: no such f"):
        read(tmp_path, path)


def test_a_glob_that_matches_nothing_in_a_folder_that_exists_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path, "*.csv") == ([], [])


def test_an_unknown_protocol_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match=r"source 'notes': path: .*nope"):
        read(tmp_path, "nope://bucket/a.csv")


def test_a_password_in_a_url_is_never_shown(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable) as raised:
        read(tmp_path, "ftp://user:hunter2@127.0.0.1:1/a.csv")
    assert "hunter2" not in str(raised.value)


def test_a_file_that_may_not_be_read_is_a_reject(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "nowhere.csv")
    (tmp_path / "b.csv").write_text("id,text\n1,one\n")
    rows, rejects = read(tmp_path, "*.csv")
    assert len(rows) == 1
    assert [(r.place, r.reason) for r in rejects] == [
        ("a.csv", "unreadable file: FileNotFoundError: No such file or directory")
    ]
