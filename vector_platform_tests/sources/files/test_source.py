"""Files: lines of JSON and documents, good ones and broken ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vector_platform.lake.lake import Lake
from vector_platform.settings import FilesSource
from vector_platform.sources.registry import open_source
from vector_platform_tests.sources.files.reading import read
from vector_platform_tests.sources.landings import land_rows, newest
from vector_platform_tests.sources.paper import docx_bytes, pdf_bytes

# -- jsonl --------------------------------------------------------------------------


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


def test_two_values_under_one_name_of_an_object_reject_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "id": 2}\n{"id": 3, "m": {"a": 1, "a": 1}}\n{}\n')
    rows, rejects = read(tmp_path, "a.jsonl")
    assert len(rows) == 1
    assert [(r.place, r.reason) for r in rejects] == [
        ("a.jsonl:1", "malformed json: the name 'id' is there twice"),
        ("a.jsonl:2", "malformed json: the name 'a' is there twice"),
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
        ("a.docx", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), "unreadable file"),
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
