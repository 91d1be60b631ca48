"""Encodings: a mark, a setting, a declaration, UTF-8; and never a guess."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from vector_platform_tests.sources.files.reading import read, values

FILES = {
    "a.md": "# Café\n\ncrème à la française",
    "a.txt": "crème à la française",
    "a.html": "<h1>Café</h1><p>crème à la française</p>",
    "a.csv": "id,text\n1,crème à la française\n",
    "a.tsv": "id\ttext\n1\tcrème à la française\n",
    "a.jsonl": '{"id": "1", "text": "crème à la française"}\n',
}


def text_of(root: Path, name: str, **more: object) -> str | None:
    """The text of the only row; None for a reject, which must say what is wrong and what to do."""
    rows, rejects = read(root, name, **more)
    if rows:
        return str(values(rows)[0]["text"]).rpartition("\n")[2]
    assert rejects[0].reason.startswith("bad encoding: ") and "`encoding`" in rejects[0].reason
    return None


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_utf_8_and_what_has_a_mark_are_read(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / name).write_bytes(FILES[name].encode(encoding))
    assert text_of(tmp_path, name) == "crème à la française"
    assert text_of(tmp_path, name, encoding="windows-1252") == (
        None if encoding == "utf-8" else "crème à la française"
    )


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "utf-16-be", "cp500", "mac-roman"])
def test_what_nothing_tells_is_refused_until_a_setting_tells_it(
    tmp_path: Path, name: str, encoding: str
) -> None:
    (tmp_path / name).write_bytes(FILES[name].encode(encoding))
    assert text_of(tmp_path, name) is None
    assert text_of(tmp_path, name, encoding=encoding) == "crème à la française"


def test_csv_files_may_have_an_encoding_of_their_own(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text.encode("cp1252" if name == "a.csv" else "utf-8"))
    rows, rejects = read(tmp_path, "a.*[!v]", csv={"encoding": "cp1252"})
    assert len(rows) == 4 and not rejects
    assert text_of(tmp_path, "a.csv", csv={"encoding": "cp1252"}) == "crème à la française"


def page(charset: str, encoding: str) -> bytes:
    return f"<meta charset={charset}><p>“crème à la française”</p>".encode(encoding)


@pytest.mark.parametrize(
    ("content", "is_read"),
    [
        (page("iso-8859-1", "cp1252"), True),
        (page("windows-1252", "cp1252"), True),
        (page("unknown-9", "utf-8"), True),
        (page("utf-16", "utf-8"), True),
        (page("utf-8", "utf-8"), True),
        (page("utf-8", "cp1252"), False),
        (page("unknown-9", "cp1252"), False),
        (page("iso-8859-1", "utf-8"), False),
        (page("shift_jis", "utf-8"), False),
        (page("iso-8859-2", "cp1252"), False),
        (page("utf-7", "cp1252"), False),
    ],
)
def test_a_declaration_that_is_wrong_is_found(
    tmp_path: Path, content: bytes, is_read: bool
) -> None:
    (tmp_path / "a.html").write_bytes(content)
    assert text_of(tmp_path, "a.html") == ("“crème à la française”" if is_read else None)


def test_a_wide_file_that_breaks_off_lands_its_lines_before_that(tmp_path: Path) -> None:
    lines = "id,text\n" + "1,ok\n" * 5000
    (tmp_path / "a.csv").write_bytes(lines.encode("utf-16") + b"\x00\xdc\x00")
    rows, rejects = read(tmp_path, "a.csv")
    assert 0 < len(rows) <= 5000
    assert [r.reason.split(";")[0].partition(" from")[0] for r in rejects] == [
        "bad encoding: not UTF-16"
    ]


@pytest.mark.parametrize("label", ["nope", "hex", "rot13", "utf-7", "idna", "", "a\x00b"])
def test_a_setting_that_is_no_encoding_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(ValidationError, match="no text encoding"):
        read(tmp_path, "a.csv", encoding=label)


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.html", "a.csv", "a.jsonl"])
def test_plain_letters_of_two_bytes_each_are_not_taken_for_utf_8(tmp_path: Path, name: str) -> None:
    text = FILES[name].replace("é", "e").replace("è", "e").replace("à", "a").replace("ç", "c")
    (tmp_path / name).write_bytes(text.encode("utf-16-le"))
    assert text_of(tmp_path, name) is None
