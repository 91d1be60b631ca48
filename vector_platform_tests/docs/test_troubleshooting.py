"""Every message of the page by message is one that the program can print."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from vector_platform_tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
# Their beginning, up to a colon, is bold and in backticks.
MESSAGES = re.findall(r"\*\*`([^`]+)`\*\*", PAGE)
GAP = "…"


@cache
def texts() -> tuple[str, ...]:
    """Every text of the package, what is filled in replaced by a gap; no docstrings."""
    files = sorted((ROOT / "vector_platform").rglob("*.py"))
    return tuple(text for path in files for text in texts_of(path))


def texts_of(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {
        id(part)
        for node in ast.walk(tree)
        for part in (node.values if isinstance(node, ast.JoinedStr) else ())
    }
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values
            )
        elif isinstance(node, ast.Constant) and id(node) not in parts | said:
            yield str(node.value)


def is_printed(message: str) -> bool:
    """Whether some text of the package holds the fixed parts of a message, in their order."""
    fixed = [re.escape(part.strip()) for part in message.split(GAP) if part.strip()]
    shape = re.compile(".*?".join(fixed), re.DOTALL)
    return any(shape.search(text) for text in texts())


def test_the_page_has_the_messages_of_a_first_hour() -> None:
    assert len(MESSAGES) >= 45
    assert len(set(MESSAGES)) == len(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_the_page_is_one_of_the_program(message: str) -> None:
    assert max(len(part) for part in message.split(GAP)) >= 8, "nobody finds it by that"
    assert is_printed(message)


def test_a_message_that_the_program_does_not_print_is_found() -> None:
    assert not is_printed("this message is printed by nobody at all")
    assert not is_printed("; nothing is read from here … malformed csv: ")
