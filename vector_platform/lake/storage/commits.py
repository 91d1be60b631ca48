"""What a commit of a table is: the layout of its files, what is recorded with it, how it fails.

Belongs here: what all writes share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
from deltalake import CommitProperties, Transaction, WriterProperties
from deltalake.exceptions import CommitFailedError, DeltaError

from vector_platform.errors import TransientError
from vector_platform.faults import first_line
from vector_platform.lake.contract import TableSpec

Metadata = dict[str, str]

# Files are read a row group at a time: small ones keep a reader's memory small (4,096 vectors of
# 1,024 dimensions are 16 MiB) and let it skip those without a wanted row. A column whose values
# rarely repeat gives up its dictionary early instead of storing one in every row group.
LAYOUT = WriterProperties(
    compression="SNAPPY", max_row_group_size=4096, dictionary_page_size_limit=64 * 1024
)


class Append(Protocol):
    """Takes the next rows, and what else is kept in their commit; see `Table.appender`."""

    def __call__(self, rows: pa.Table, also: Metadata | None = None) -> None:
        """Append them."""


class CommitConflict(TransientError):
    """Another writer committed first and the two writes cannot both hold."""


class WriteFailed(TransientError):
    """The storage did not take a commit (a full disk, no permission, an outage)."""


@contextmanager
def committing(spec: TableSpec, uri: str) -> Iterator[None]:
    """Errors of writing a table become ones that name it.

    Raises:
        CommitConflict: Another writer was first.
        WriteFailed: The storage did not take the commit.
    """
    try:
        yield
    except CommitFailedError as error:
        raise CommitConflict(f"table {spec.name}: {error}; run it again") from error
    except (DeltaError, OSError) as error:
        said = first_line(error, type(error).__name__)
        raise WriteFailed(
            f"table {spec.name} at {uri}: the storage did not take a commit, and "
            f"readers see nothing of it ({said}). Free space, or give this user the right to "
            "write there, and run this again"
        ) from error


@dataclass(frozen=True)
class Decided:
    """By what it was decided that rows are new: they may be appended while that still holds.

    Delta itself refuses the commit when a commit of the same writer came after the version, on
    this machine or another one, so of two that decide alike, one writes.

    Attributes:
        writer: What is written by one at a time, such as the landing of a source.
        version: The version that was read; -1 when there was no table.
    """

    writer: str
    version: int


def properties(
    metadata: Metadata | None, decided: Decided | None = None
) -> CommitProperties | None:
    """What is recorded with a commit."""
    once = [Transaction(decided.writer, decided.version + 1)] if decided else None
    if not metadata and once is None:
        return None
    return CommitProperties(custom_metadata=metadata, app_transactions=once)
