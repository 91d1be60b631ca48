"""The blocks of a page that tells a story, run in their order.

Belongs here: reading a page's blocks, and running them. `sh` is run; `text` is what the commands
before it say, among other things; `yaml` takes the place of sections of `platform.yaml`; `console`
is for the reader alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from vector_platform_tests.installed import Installation

LANGUAGES = ("sh", "text", "yaml", "console")


def blocks_of(page: Path) -> list[tuple[str, str]]:
    """Language and text of every block."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def play(page: Path, installed: Installation, root: Path) -> Iterator[str]:
    """Run the commands of a page from a folder on, and give what is missing from what they say."""
    here, said = root, ""
    for language, text in blocks_of(page):
        if language == "sh":
            # A folder that a block goes to is where the next one begins.
            script = f"set -e\n{text}\npwd > {root}/here\n"
            done = installed.run("sh", "-c", script, cwd=here)
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            here, said = Path((root / "here").read_text(encoding="utf-8").strip()), done.stdout
        elif language == "yaml":
            file = here / "platform.yaml"
            changed = yaml.safe_load(file.read_text(encoding="utf-8")) | yaml.safe_load(text)
            file.write_text(yaml.safe_dump(changed), encoding="utf-8")
        elif language == "text":
            yield from (line for line in text.splitlines() if line not in said)
