"""CSV and TSV: dialects, malformed records, archives."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vector_platform_tests.sources.files.reading import noted, read, values


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
    assert [r.place for r in rejects] == ["a.csv:3"]
    assert rejects[0].reason.startswith("bad encoding: not UTF-8; ")


def test_ragged_rows_are_rejected_with_both_widths(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1\n2,two\n3,three,3\n")
    rows, rejects = read(tmp_path, "a.csv")
    assert [row["id"] for row in values(rows)] == ["2"]
    assert [r.reason for r in rejects] == [
        "ragged row: 1 cells under 2 column names",
        "ragged row: 3 cells under 2 column names",
    ]


OPEN_END = "nothing is read from here to the end of the file"


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b'id,text\n1,"never closed\n2,two\n', 2, "malformed csv: unexpected end of data"),
        (b'id,text\n1,"a"b\n', 2, "malformed csv: ',' expected after '\"'"),
        (b'id,text\n1, "a\n2,b"\n', 2, "malformed csv: a space before a quote (line 2)"),
        (b"id,text\n1,a\rb\n", 2, "malformed csv: new-line character seen in unquoted field"),
        (b"id,id\n1,2\n", 1, "malformed csv: the header names column 'id' twice"),
        (
            "id,text\n1,one\n".encode("utf-16-le"),
            1,
            "bad encoding: not text in UTF-8: it holds NUL",
        ),
    ],
    ids=["open-quote", "stray-quote", "space", "return", "double-header", "utf-16"],
)
def test_malformed_csv_is_a_reject_and_no_crash(
    tmp_path: Path, content: bytes, line: int, reason: str
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    rows, rejects = read(tmp_path, "a.csv")
    assert (rows, [r.place for r in rejects]) == ([], [f"a.csv:{line}"])
    assert rejects[0].reason.startswith(reason)


def test_no_line_of_a_text_lands_as_a_row_behind_a_malformed_quote(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'id,team,text\n1,a,fine\n2,a,"He said "no" and\n3,b,is a line of that text\nand more"\n'
        "4,b,x\n"
    )
    rows, rejects = read(tmp_path, "a.csv")
    assert [row["id"] for row in values(rows)] == ["1"]
    assert [(r.place, OPEN_END in r.reason) for r in rejects] == [("a.csv:3", True)]


# -- dialects -----------------------------------------------------------------------------------


def test_a_quote_in_a_tsv_is_a_quote(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b'id\tteam\ttext\n1\ta\t"To be\n2\tb\tor\rnot"\n3\tb\t"x"\n')
    rows, rejects = read(tmp_path, "a.tsv")
    assert [row["text"] for row in values(rows)] == ['"To be', 'or\rnot"', '"x"'] and not rejects
    (note,) = noted(tmp_path, "a.tsv")
    assert note.startswith("cells in quotes are taken as they are") and note.endswith("(a.tsv:4)")
    asked = {"csv": {"quoting": "double"}}
    (tmp_path / "b.tsv").write_bytes(b'id\ttext\n1\t"To be\nor not"\n')
    assert values(read(tmp_path, "b.tsv", **asked)[0]) == [{"id": "1", "text": "To be\nor not"}]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_header_tells_a_delimiter_and_the_landing_shows_it(
    tmp_path: Path, delimiter: str
) -> None:
    lines = [["id", '"text"'], ["1", '"a, b"'], ["2", "c"]]
    (tmp_path / "a.csv").write_text("".join(delimiter.join(line) + "\n" for line in lines))
    fields = {"key": "id", "text": "text"}
    rows, _ = read(tmp_path, "a.csv", fields=fields)
    assert values(rows) == [{"id": "1", "text": "a, b"}, {"id": "2", "text": "c"}]
    notes = noted(tmp_path, "a.csv", fields=fields)
    assert notes == [f"the delimiter is {delimiter!r}, as the header tells (a.csv:1)"]
    assert noted(tmp_path, "a.csv", fields=fields, csv={"delimiter": delimiter}) == []


def test_a_delimiter_that_no_header_proves_is_that_of_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;text\n1;a\n")
    assert values(read(tmp_path, "a.csv", fields={"key": "k", "text": "t"})[0]) == [
        {"id;text": "1;a"}
    ]


def test_a_spreadsheet_names_its_delimiter(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sep=;\nid;text\n1;a,b\n")
    (row,), _ = read(tmp_path, "a.csv")
    assert (row.values, row.place) == ({"id": "1", "text": "a,b"}, "a.csv:3")


def test_names_of_columns_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,one\n2,two\n")
    named = {"csv": {"header": ["id", "text"]}}
    assert [row["id"] for row in values(read(tmp_path, "a.csv", **named)[0])] == ["1", "2"]
    (tmp_path / "b.csv").write_text("id,text\n2,two\n")
    assert [row["id"] for row in values(read(tmp_path, "b.csv", **named)[0])] == ["2"]
    assert "repeats the names" in noted(tmp_path, "b.csv", **named)[0]


def test_columns_without_a_name_are_left_out_while_they_are_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "id,text,,\n1,hello,,\n2,world\n3,a text, cut by its comma,\n4,four,,,\n"
    )
    rows, rejects = read(tmp_path, "a.csv")
    assert values(rows) == [
        {"id": "1", "text": "hello"},
        {"id": "2", "text": "world"},
        {"id": "4", "text": "four"},
    ]
    assert [(r.place, r.reason) for r in rejects] == [
        ("a.csv:4", "ragged row: cell 3 stands under no column name")
    ]
    assert noted(tmp_path, "a.csv") == [
        "2 column(s) without a name left out (a.csv:1)",
        "empty cells behind the last column left out (a.csv:5)",
    ]


def test_lines_may_end_with_carriage_returns_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'id,text\r1,one\r2,"two\rlines"\r')
    assert [row["text"] for row in values(read(tmp_path, "a.csv")[0])] == ["one", "two\rlines"]


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


@pytest.mark.parametrize("packed", [gzip.compress, bz2.compress, lzma.compress])
def test_nothing_of_an_archive_lands_whose_checksum_is_wrong(
    tmp_path: Path, packed: Callable[[bytes], bytes]
) -> None:
    suffix = {gzip: "gz", bz2: "bz2", lzma: "xz"}[sys.modules[packed.__module__]]
    content = bytearray(packed(b"id,text\n" + b"".join(b"%d,x\n" % n for n in range(20_000))))
    content[-7] ^= 1
    (tmp_path / f"a.csv.{suffix}").write_bytes(content)
    rows, rejects = read(tmp_path, "*")
    assert (rows, [r.reason.split(":")[0] for r in rejects]) == ([], ["unreadable file"])


def test_a_zip_archive_is_read_when_it_holds_one_file(tmp_path: Path) -> None:
    for name, members in {"a": ["x.csv"], "b": ["x.csv", "y.csv"], "c": []}.items():
        with zipfile.ZipFile(tmp_path / f"{name}.csv.zip", "w") as archive:
            for member in members:
                archive.writestr(member, "id,text\n1,one\n")
    (tmp_path / "d.csv.zst").write_bytes(b"(\xb5/\xfd")
    rows, rejects = read(tmp_path, "*")
    assert [row.place for row in rows] == ["a.csv.zip:2"]
    assert [(r.place, r.reason) for r in rejects] == [
        ("b.csv.zip", "unreadable file: the archive holds 2 files and not one; unpack it"),
        ("c.csv.zip", "unreadable file: the archive holds 0 files and not one; unpack it"),
        ("d.csv.zst", "unreadable file: .zst is not unpacked here; use .gz, .bz2, .xz or .zip"),
    ]


def test_a_damaged_bz2_is_a_reject_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "b.csv.bz2").write_bytes(b"BZh91AY&SY" + b"damaged" * 20)
    (tmp_path / "c.csv").write_text("id,text\n3,three\n")
    rows, rejects = read(tmp_path, "*")
    assert [row.place for row in rows] == ["c.csv:2"]
    assert [(r.place, r.reason.split(":")[0]) for r in rejects] == [
        ("b.csv.bz2", "unreadable file")
    ]
