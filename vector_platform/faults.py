"""Faults of the machine in plain words: a full disk, a busy file, a package that is not installed.

Belongs here: which error of the operating system or of a library means which of ours, told by its
type and number and never by its text. What is not listed is a bug, and shows its traceback.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from vector_platform.errors import TerminalError, TransientError, VectorPlatformError


class StorageFull(TransientError):
    """There is no space left, or a quota is reached."""


class NotPermitted(TerminalError):
    """A file or folder may not be read or written by this user."""


class WrongPlace(TerminalError):
    """A file is where a folder is needed, the reverse, or nothing is there."""


class Busy(TransientError):
    """Another process holds what is needed: a file, a database, a port."""


class Unreachable(TransientError):
    """A server does not answer, or hung up."""


class MissingExtra(TerminalError):
    """Packages are not installed that an extra of this package brings."""


@dataclass(frozen=True)
class Extra:
    """An extra of this package: what `pip install 'vector-platform[name]'` brings.

    Whoever imports an optional package asks for it first, by `require`.

    Attributes:
        name: The extra, as `pyproject.toml` calls it.
        packages: What is imported of it.
    """

    name: str
    packages: tuple[str, ...]

    def missing(self, what: str) -> str | None:
        """One line that says what is missing and how it is installed; None when all is there.

        Args:
            what: What needs the packages, such as `indexes.milvus`.
        """
        absent = [package for package in self.packages if find_spec(package) is None]
        if not absent:
            return None
        return (
            f"{what} needs {', '.join(absent)}, not installed: "
            f"pip install 'vector-platform[{self.name}]'"
        )

    def require(self, what: str) -> None:
        """See that the packages are installed. Imports nothing.

        Raises:
            MissingExtra: One of them is not.
        """
        line = self.missing(what)
        if line is not None:
            raise MissingExtra(line)


_BY_NUMBER: dict[int, tuple[type[VectorPlatformError], str]] = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        (StorageFull, "free some space, then run it again; what was not committed is not seen"),
    ),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS),
        (NotPermitted, "give this user the right to it, or name another place in platform.yaml"),
    ),
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP),
        (WrongPlace, "put it right there, or name another place in platform.yaml"),
    ),
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE),
        (Busy, "too many files are open: raise the limit (ulimit -n), then run it again"),
    ),
    errno.EADDRINUSE: (Busy, "another process has the port: stop it, or choose another port"),
    errno.EIO: (StorageFull, "the storage answers with an error: look at it, then run it again"),
    **dict.fromkeys(
        (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH),
        (Unreachable, "see that the server runs (`vector-platform services status`), and repeat"),
    ),
}
# (library, name of its error) -> ours. Named, not imported: this file is loaded by `--help`.
_BY_NAME: dict[tuple[str, str], tuple[type[VectorPlatformError], str]] = {
    ("duckdb", "IOException"): (
        Busy,
        "another process has the file, or the disk is full: end it or free space, and repeat",
    ),
    ("duckdb", "OutOfMemoryException"): (
        StorageFull,
        "a join found no memory, and no space to spill to: free some where TMPDIR is, and repeat",
    ),
    ("sqlite3", "OperationalError"): (
        Busy,
        "a database of Dagster is held or its disk is full: end the other process, and repeat",
    ),
}


def explained(error: BaseException) -> VectorPlatformError | None:
    """The platform's error for a fault of the machine; None when it is none.

    Args:
        error: As it was caught. What it came from is looked at, too.
    """
    for one in _chain(error):
        if isinstance(one, VectorPlatformError):
            return one
        known = _known(one)
        if known is not None:
            kind, way_out = known
            named = kind(f"{_what(one)}; {way_out}")
            named.__cause__ = error
            return named
    return None


def _known(error: BaseException) -> tuple[type[VectorPlatformError], str] | None:
    if isinstance(error, OSError) and error.errno in _BY_NUMBER:
        return _BY_NUMBER[error.errno]
    if isinstance(error, (ConnectionError, TimeoutError)):
        return _BY_NUMBER[errno.ECONNRESET]
    if isinstance(error, MemoryError):
        return StorageFull, "there is not enough memory: end other programs, and repeat"
    for kind in type(error).__mro__:
        library = kind.__module__.partition(".")[0].lstrip("_")
        if (library, kind.__name__) in _BY_NAME:
            return _BY_NAME[library, kind.__name__]
    return None


def _what(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        place = error.filename or ""
        said = os.strerror(error.errno)
        # Libraries tell the place in the text alone.
        return f"{place}: {said}" if place else first_line(error, said)
    return first_line(error, type(error).__name__)


def first_line(error: BaseException, otherwise: str) -> str:
    """The first line of what an error says of itself: what follows is its library's stack."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), otherwise)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    here: BaseException | None = error
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        yield here
        here = here.__cause__ or (None if here.__suppress_context__ else here.__context__)
