"""The worked examples of `docs/contributing.md`, put to work on a copy of the package.

Belongs here: reading an example from its section, and what it makes of a copy. A fenced block of
Python that opens with `# path` is a new file; a block of diff changes one that exists, by hunks
without line numbers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "contributing.md"


@dataclass(frozen=True)
class Example:
    """A section of the page.

    Attributes:
        yaml: Its settings; empty when it has none.
        files: Path -> text of new files.
        diffs: (path, hunks) of changed ones.
    """

    yaml: str
    files: dict[str, str]
    diffs: list[tuple[str, str]]


def example(heading: str) -> Example:
    """The example below a heading."""
    page = PAGE.read_text(encoding="utf-8")
    (text,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    new = (code.split("\n", 1) for language, code in blocks if language == "python")
    changed = (code.split("\n", 1) for language, code in blocks if language == "diff")
    return Example(
        "".join(code for language, code in blocks if language == "yaml"),
        {first.removeprefix("# "): rest for first, rest in new},
        [(first.removeprefix("--- "), rest) for first, rest in changed],
    )


def change_package(found: Example, root: Path) -> list[str]:
    """Copy the package to a folder, and do to it what an example says.

    Returns:
        The files that are new or changed; ruff has looked at them.
    """
    unused = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "vector_platform", root / "vector_platform", ignore=unused)
    shutil.copytree(ROOT / "dbt", root / "dbt", ignore=shutil.ignore_patterns("target", "logs"))
    for name, text in found.files.items():
        assert not (root / name).exists(), f"{name} is there already"
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for name, hunks in found.diffs:
        change(root / name, hunks)
    changed = [*found.files, *(name for name, _ in found.diffs)]
    config = ["--no-cache", "--config", str(ROOT / "pyproject.toml")]
    for verb in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *verb, *config, *changed]
        done = subprocess.run(ruff, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    return changed


def change(file: Path, hunks: str) -> None:
    """Change a file; each hunk must have one place to go to."""
    text = file.read_text(encoding="utf-8")
    for hunk in hunks.removeprefix("@@\n").split("\n@@\n"):
        lines = hunk.rstrip("\n").split("\n")
        old = "\n".join(line[1:] for line in lines if not line.startswith("+"))
        new = "\n".join(line[1:] for line in lines if not line.startswith("-"))
        places = list(re.finditer(rf"^{re.escape(old)}$", text, re.MULTILINE))
        assert len(places) == 1, f"{file.name} has {len(places)} places for:\n{hunk}"
        text = text[: places[0].start()] + new + text[places[0].end() :]
    file.write_text(text, encoding="utf-8")


def run_changed(root: Path, script: str, *arguments: str) -> list[str]:
    """Lines that a program prints which imports the changed package, and the tests beside it."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
