"""The blocks of the pages, and what each says of how it is held to the program.

Belongs here: reading blocks and their marks, the commands in them, and comparing what is printed
by its shape.

Commands stand in blocks of `sh`, or of `console` where what they print stands among them, each
command behind a `$`. The word behind the language, which no reader sees, is the mark: `run` is
executed by the fast tier, `deep` by the deep one, `outside` by nobody here: it needs another
machine, a package index, days of data, or the tests themselves. A block of `text` is what commands
print, or a list, and holds no command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "docker" / "README.md",
    ROOT / "vector_platform" / "local" / "pinecone_server" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
OF_COMMANDS = ("sh", "console")
MARKS = ("run", "deep", "outside")
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# Two words at least, in a row and without a name or number among them, are the program's own.
_PHRASE = re.compile(r"(?<![\w./:@-])[A-Za-z]{2,}(?:,? [A-Za-z]{2,})+(?![\w/:@-])")


@dataclass(frozen=True)
class Block:
    """A block between fences.

    Attributes:
        page: Its page, from the repository.
        line: Its first line there.
        language: First word behind the fence.
        mark: The second.
        text: What it holds.
    """

    page: str
    line: int
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        """Where to look, for messages."""
        return f"{self.page}:{self.line}"

    def commands(self) -> list[tuple[str, str]]:
        """Each command without its comment, and what is said to be printed by it."""
        if self.language == "sh":
            lines = [re.sub(r"(^|\s)#\s.*", "", line).strip() for line in self.text.splitlines()]
            return [(line, "") for line in lines if line]
        found: list[tuple[str, str]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            elif found:
                command, printed = found[-1]
                found[-1] = (command, f"{printed}{line}\n")
        return found


def blocks_of(page: Path) -> list[Block]:
    """Every block of a page, in its order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        language, _, mark = match[1].partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(str(page.relative_to(ROOT)), line, language, mark, match[2]))
    return found


def marked(mark: str) -> Iterator[Block]:
    """The blocks of a mark, in the order of the pages."""
    for page in PAGES:
        yield from (block for block in blocks_of(page) if block.mark == mark)


def missing_from(printed: str, shown: str) -> list[str]:
    """Phrases of what a page shows that a program did not print.

    A page shows other names, numbers and widths than a test has, and leaves lines out.
    """
    said = " ".join(printed.split())
    lines = (" ".join(line.split()) for line in shown.splitlines())
    return [phrase for line in lines for phrase in _PHRASE.findall(line) if phrase not in said]
