"""A look at the files of a source: what is there, and which columns its first rows have.

Belongs here: how much of a file is read to know that. The reading itself is `source.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from vector_platform.sources.base import Look, Reject, SourceRow

# A look takes a second or two, whatever the files hold.
FILES = 20
_ROWS_OF_A_FILE = 100

Rows = Iterator[SourceRow | Reject]


def look_at(files: Iterable[tuple[Rows, bool]], *, every_file: bool, size_bytes: int) -> Look:
    """What the first rows of some files show.

    Args:
        files: The rows of each, and whether any one row shows all columns of its file.
        every_file: Whether these are all files.
        size_bytes: Of all files.
    """
    columns: dict[str, None] = {}
    complete = every_file
    for rows, uniform in files:
        seen = 0
        for found in islice(rows, _ROWS_OF_A_FILE + 1):
            seen += 1
            if isinstance(found, SourceRow):
                columns |= dict.fromkeys(found.values)
                if uniform:
                    break
        complete = complete and (uniform or seen <= _ROWS_OF_A_FILE)
    return Look(tuple(columns), complete and bool(columns), size_bytes)
