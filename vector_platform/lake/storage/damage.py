"""A table that cannot be read: which, why, and the way out.

Belongs here: what an error of delta-rs, Arrow or the file system means while a table is read.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from deltalake.exceptions import DeltaError, TableNotFoundError

from vector_platform.errors import TerminalError
from vector_platform.faults import explained, first_line

# What says that a file is not there, rather than that it may not be reached.
_MISSING = (errno.ENOENT, None)


class TableDamaged(TerminalError):
    """A file of a table is missing or cannot be read: of its log, or of its rows."""


@contextmanager
def reading(name: str, uri: str) -> Iterator[None]:
    """Errors of reading a table become ones that name it.

    Args:
        name: The table.
        uri: Where it is.

    Raises:
        TableDamaged: A file of it is missing or damaged.
        VectorPlatformError: The machine stands in the way (`faults.py`).
    """
    try:
        yield
    except TableNotFoundError:
        raise
    except (DeltaError, pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _MISSING:
            fault = explained(error)
            if fault is not None:
                raise fault from error
        raise TableDamaged(
            f"table {name} at {uri} cannot be read: {first_line(error, type(error).__name__)}. "
            "A file of it is missing or damaged. Restore the folder from a backup or a replica "
            "(restore all of it to one moment); documents, chunks and indexes can be made again "
            "from the raw tables: see docs/operations.md, A damaged table"
        ) from error
