"""What people are shown: data as data, and names that can be copied."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from vector_platform.cli.output import harmless, say, say_table

NAMES = ["lake/a-table-with-a-rather-long-name", "minilm-384.v1", "chunks@1+embeddings@4"]
SENTENCE = "What each index generation was built from, and the snapshot it is proven equal to."
HOSTILE = [
    "[/b] closes what nobody opened",
    "[red]not red[/red]",
    "[link=file:///]press[/link]",
    ":smile: is no face",
    "\x1b[31mred\x1b[0m \x9b2J",
    "right \u202e to left",
    "half \ud83d of a face",
    "back\x08space, \x00 and \r",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_shown_as_it_is_and_steers_no_terminal(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = text.encode("utf-8", "backslashreplace").decode()
    for steering in "\x1b\x9b\u202e\x08\x00\r":
        shown = shown.replace(steering, steering.encode("unicode_escape").decode())
    say_table("Hits of " + text, ["document", "text " + text], [["a:1", text]])
    say(text)
    out = capsys.readouterr().out
    assert out.count(shown) == 4
    assert harmless(shown) == shown


def test_lines_tabs_and_every_script_stay(capsys: pytest.CaptureFixture[str]) -> None:
    text = "one\n\ttwo \u3000 日本語 עברית 👩\u200d👩\u200d👧 n\u0303"
    say(text)
    assert capsys.readouterr().out == text + "\n"


def test_a_table_in_a_pipe_breaks_nothing_over_lines(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[*NAMES, SENTENCE]] * 3
    say_table("Lake file:///a/rather/long/place/of/a/lake", ["a", "b", "c", "holds"], rows)
    out = capsys.readouterr().out
    assert [out.count(text) for text in (*NAMES, SENTENCE)] == [3, 3, 3, 3]
    assert "Lake file:///a/rather/long/place/of/a/lake\n" in out


def test_a_row_is_one_line_in_a_pipe_whatever_stands_in_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say_table("Hits", ["id", "text"], [["a", "one\ntwo\n\nthree"], ["b", "word " * 200]])
    records = [line for line in capsys.readouterr().out.splitlines() if line.strip()][3:]
    assert [line.split()[0] for line in records] == ["a", "b"]


@pytest.mark.parametrize("columns", [40, 50, 100])
def test_a_table_on_a_narrow_terminal_breaks_sentences_and_no_names(columns: int) -> None:
    program = (
        "from vector_platform.cli.output import say_table\n"
        f"say_table('Lake', ['a', 'b', 'c', 'holds'], [{[*NAMES, SENTENCE]!r}])\n"
    )
    terminal, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    done = subprocess.Popen([sys.executable, "-c", program], stdout=theirs, env=environment)
    os.close(theirs)
    told = b""
    try:
        while part := os.read(terminal, 4096):
            told += part
    except OSError:  # a terminal that nobody holds any more
        pass
    finally:
        os.close(terminal)
    assert done.wait() == 0
    out = told.decode()
    assert [out.count(name) for name in NAMES] == [1, 1, 1]
    assert SENTENCE not in out and "snapshot" in out
    longest = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in out.splitlines())
    assert longest <= max(columns, *(len(f"a: {name}") for name in NAMES))
    assert (f"a: {NAMES[0]}" in out) == (columns < 100), "a narrow one has a column a line"
