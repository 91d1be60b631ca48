"""The blocks of a page that tells a story, run in their order.

Belongs here: running blocks in an installation. `sh` is run, unless it is `outside`; `text` is what
the commands before it print, among other things; `yaml` takes the place of sections of
`platform.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from vector_platform_tests.docs.blocks import Block
from vector_platform_tests.installed import Installation


def play(blocks: Sequence[Block], installed: Installation, root: Path) -> Iterator[str]:
    """Run the commands of blocks from a folder on, and give what is missing from what they say."""
    here, said = root, ""
    for block in blocks:
        if block.language == "sh" and block.mark != "outside":
            # A folder that a block goes to is where the next one begins.
            script = f"set -e\n{block.text}\npwd > {root}/here\n"
            done = installed.run("sh", "-c", script, cwd=here)
            assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
            here, said = Path((root / "here").read_text(encoding="utf-8").strip()), done.stdout
        elif block.language == "yaml":
            file = here / "platform.yaml"
            changed = yaml.safe_load(file.read_text(encoding="utf-8")) | yaml.safe_load(block.text)
            file.write_text(yaml.safe_dump(changed), encoding="utf-8")
        elif block.language == "text":
            yield from (line for line in block.text.splitlines() if line not in said)
