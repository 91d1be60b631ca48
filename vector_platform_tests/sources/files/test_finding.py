"""What a path means: names, patterns, folders, links, URLs."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from vector_platform.sources.base import SourceInvalid, SourceUnreachable
from vector_platform_tests.sources.files.reading import noted, opened, read


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


@pytest.mark.parametrize("path", ["*.csv", "empty", "other", "empty/**/*.md"])
def test_a_path_that_names_no_file_is_an_error_so_that_nothing_is_taken_for_removed(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.png").write_bytes(b"x")
    with pytest.raises(SourceUnreachable, match="names no file that is read"):
        read(tmp_path, path)
    assert opened(tmp_path, path).newest() is None  # type: ignore[attr-defined]


NAMES = ["Reports [2024]", "a*b", "what?", "100%", "a%20b", "#1", "{x}", "a b", "ünï", "a\nb", "~x"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_itself_where_something_is_called_so(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    for folder in (name, "Reports 2"):
        (root / folder).mkdir(parents=True)
        (root / folder / f"{name}.md").write_text("text")
    for path in (name, f"{name}/{name}.md", f"{name}/*.md", str(root / name), f"{name}/**/*.md"):
        rows, rejects = read(root, path)
        assert [row.values["path"] for row in rows] == [f"{name}.md"] and not rejects
        assert rows[0].uri == f"{name}/{name}.md"
    assert len(read(root, f"*/{name}.md")[0]) == 2


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.md", "a.md b.md"),
        ("[ab].md", "a.md b.md"),
        ("[!a].md", "b.md"),
        ("?.md", "a.md b.md"),
        ("x/*", "x/c.md"),
        ("*/*.md", "x/c.md"),
        ("**/*.md", "a.md b.md x/c.md x/y/d.md"),
        ("x/**", "x/c.md x/y/d.md"),
        ("**/y/*.md", "x/y/d.md"),
        ("[z-a].md", ""),
    ],
)
def test_a_glob_is_what_the_user_wrote(tmp_path: Path, pattern: str, names: str) -> None:
    for name in ("a.md", "b.md", "x/c.md", "x/y/d.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    if not names:
        with pytest.raises(SourceUnreachable):
            read(tmp_path, pattern)
        return
    assert " ".join(row.uri for row in read(tmp_path, pattern)[0]) == names


def test_links_to_folders_are_followed_and_each_folder_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    for name in ("docs/a.md", "docs/deep/b.md", "outside/c.md"):
        (tmp_path / name).write_text("text")
    (tmp_path / "docs" / "deep" / "circle").symlink_to(tmp_path / "docs")
    (tmp_path / "docs" / "again").symlink_to(tmp_path / "docs" / "deep")
    (tmp_path / "docs" / "linked").symlink_to(tmp_path / "outside")
    rows, rejects = read(tmp_path, "docs")
    assert [row.values["path"] for row in rows] == ["a.md", "deep/b.md", "linked/c.md"]
    assert not rejects
    assert noted(tmp_path, "docs") == [
        "folders that are read elsewhere (docs/again, and 1 more)",
    ]


def test_links_that_multiply_end(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("text")
    for number in range(20):
        folder = tmp_path / f"f{number}"
        folder.mkdir()
        for link in "xy":
            (folder / link).symlink_to(tmp_path / f"f{number + 1}")
    (tmp_path / "f20").mkdir()
    (tmp_path / "docs" / "in").symlink_to(tmp_path / "f0")
    assert len(read(tmp_path, "docs")[0]) == 1


def test_what_cannot_be_looked_at_is_a_reject_and_takes_nothing_away(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("text")
    (tmp_path / "docs" / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "docs" / "pipe.md")
    rows, rejects = read(tmp_path, "docs")
    assert len(rows) == 1
    assert [(r.place, r.reason, r.uri) for r in rejects] == [
        ("docs/gone", "unreadable folder: a link that leads nowhere", ""),
        ("docs/pipe.md", "unreadable file: a pipe, a socket or a device", "docs/pipe.md"),
    ]


def test_a_name_that_is_no_unicode_is_written_so_that_a_table_can_hold_it(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.csv")).write_text("id,text\n1,one\n")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    rows, _ = read(tmp_path, "*.csv")
    assert [row.uri for row in rows] == ["caf\\udce9.csv"]


def test_a_store_gives_what_a_pattern_means_and_names_as_they_are(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for name in ("Reports [2024]/a.md", "x/a[1].md", "x/y/b.md"):
        memory.pipe(f"/readers/{name}", b"text")
    try:
        for path, keys in {
            "Reports [2024]": ["a.md"],
            "Reports [2024]/*.md": ["a.md"],
            "x/a[1].md": ["a[1].md"],
            "*/*.md": ["Reports [2024]/a.md", "x/a[1].md"],
            "x/**/*.md": ["a[1].md", "y/b.md"],
        }.items():
            found = read(tmp_path, f"memory://readers/{path}")[0]
            assert [row.values["path"] for row in found] == keys
        with pytest.raises(SourceUnreachable, match="names no file"):
            read(tmp_path, "memory://readers/*.csv")
    finally:
        memory.rm("/readers", recursive=True)


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
