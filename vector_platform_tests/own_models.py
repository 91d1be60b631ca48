"""The worked examples of `docs/own-model.md`, as settings.

Belongs here: reading an example from its section.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

PAGE = Path(__file__).parents[1] / "docs" / "own-model.md"


def settings_below(heading: str) -> dict[str, Any]:
    """The settings of the first example below a heading."""
    page = PAGE.read_text(encoding="utf-8")
    (text,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    described: dict[str, Any] = yaml.safe_load(
        re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[0]
    )
    return described
