"""Rows of JSONL, streamed.

Belongs here: one object a line. A line that is none is a reject; the next one is read on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from vector_platform.settings import ReadLimits
from vector_platform.sources.base import Reject, SourceRow
from vector_platform.sources.files.encodings import BadEncoding, TextLines
from vector_platform.sources.limits import RECORD_SHARE, too_long

_SHOWN_CHARACTERS = 500


def read_jsonl(
    stream: IO[bytes], *, uri: str, encoding: str | None, limits: ReadLimits
) -> Iterator[SourceRow | Reject]:
    """One JSON object a line; empty lines are skipped.

    Args:
        stream: The file.
        uri: Lineage.
        encoding: The source's setting.
        limits: How long a line may be.
    """
    lines = TextLines(stream, encoding=encoding, limits=limits, json=True)
    while True:
        lines.begin_record()
        place = f"{uri}:{lines.number + 1}"
        try:
            line = lines.read()
        except BadEncoding as error:
            yield Reject(place, f"bad encoding: {error}", uri=uri)
            return
        if line is None:
            yield Reject(place, str(too_long("a record", limits, share=RECORD_SHARE)), uri=uri)
        elif not line:
            return
        elif lines.is_bad is not None:
            yield Reject(place, f"bad encoding: {lines.is_bad}", uri=uri)
        elif line.strip():
            yield _row(line, lines, place, uri)


def _row(line: str, lines: TextLines, place: str, uri: str) -> SourceRow | Reject:
    shown = line.strip()[:_SHOWN_CHARACTERS]
    if lines.number == 1 and (problem := lines.nul_problem(line)):
        return Reject(place, f"bad encoding: {problem}", payload=shown, uri=uri)
    try:
        value: Any = json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        return Reject(place, f"malformed json: {error}", payload=shown, uri=uri)
    if isinstance(value, dict):
        return SourceRow(value, place, uri)
    reason = f"malformed json: {type(value).__name__}, not an object"
    return Reject(place, reason, payload=shown, uri=uri)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, whose names are all different: of two values under one name neither is true."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = Counter(name for name, _ in pairs)
        twice = next(name for name, times in names.items() if times > 1)
        raise ValueError(f"the name {twice!r:.60} is there twice")
    return found
