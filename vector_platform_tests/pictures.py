"""Reading what a check shows: its pictures and its tables.

Belongs here: decoding them.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n"


def png_of(markdown: str) -> bytes:
    """The bytes of the one picture in a Markdown value."""
    return base64.b64decode(markdown.partition("base64,")[2].rstrip(")"), validate=True)


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height in pixels of a PNG."""
    assert png.startswith(PNG) and png[12:16] == b"IHDR"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def pictures_of(metadata: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Name of every picture in metadata -> its size in pixels."""
    return {
        name: size_of(png_of(value))
        for name, value in metadata.items()
        if isinstance(value, str) and value.startswith("![")
    }


def rows_of(markdown: str) -> list[dict[str, str]]:
    """The rows of a Markdown table, by column."""
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in markdown.splitlines()
    ]
    return [dict(zip(head, row, strict=True)) for row in rows]
