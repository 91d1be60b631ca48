"""How much of a file is read before it is refused.

Belongs here: counting what a file gives, packed and unpacked, against the limits of its source.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import PurePosixPath
from typing import IO, Any

from vector_platform.settings import ReadLimits

_MIB = 1024 * 1024
# A few short lines may be packed a thousandfold; nothing is held against them.
_RATIO_COUNTS_FROM = 16 * _MIB
# A record of a table has other fields than its text, and up to four bytes a character.
RECORD_SHARE = 4


class OverLimit(Exception):
    """A file, or one record of it, is larger than its source's limits allow."""

    def __init__(self, found: str, setting: str, limit: int, way_out: str = "") -> None:
        way_out = way_out or "split the file, or raise the limit if it is meant to be so large"
        super().__init__(f"over a limit: {found} (limits.{setting}: {limit}); {way_out}")


class UnknownPacking(Exception):
    """A file is packed in a way that is not read. The message says which, and the way out."""


class StoreFailed(Exception):
    """An object store or server broke off while a file was read: no fault of the file."""


class _Stream(io.RawIOBase):
    """What a file gives, counted; breaks off with `OverLimit` where it has given too much."""

    def __init__(
        self, stream: Any, limits: ReadLimits, *, packed: _Stream | None = None, of_store: bool
    ) -> None:
        self._stream, self._limits, self._packed = stream, limits, packed
        self._of_store = of_store
        self.given = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._packed is None and bool(self._stream.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.given = 0  # What is counted is one way through the file.
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def readinto(self, buffer: Any) -> int:
        try:
            data: bytes = self._stream.read(len(buffer))
        except (FileNotFoundError, PermissionError, MemoryError):
            raise
        except Exception as error:
            if self._of_store:
                raise StoreFailed(f"{type(error).__name__}: {error}") from error
            raise
        buffer[: len(data)] = data
        self.given += len(data)
        self._check()
        return len(data)

    def _check(self) -> None:
        if self._packed is None:
            check_file_size(self.given, self._limits)
        else:
            check_unpacked(self.given, self._packed.given, self._limits)


def check_file_size(size: int, limits: ReadLimits) -> None:
    """Refuse a file of more bytes than the source allows.

    Raises:
        OverLimit: It has more.
    """
    if size > limits.file_mib * _MIB:
        found = f"the file has more than {limits.file_mib} MiB"
        raise OverLimit(found, "file_mib", limits.file_mib)


def check_ratio(unpacked: int, packed: int, limits: ReadLimits) -> None:
    """Refuse what unpacks to many times its size, as an archive made to fill memory does.

    Raises:
        OverLimit: The ratio is too high, of something large enough to matter.
    """
    if unpacked > _RATIO_COUNTS_FROM and unpacked > limits.unpacked_ratio * max(packed, 1):
        found = f"the file unpacks to more than {limits.unpacked_ratio} times its size"
        raise OverLimit(found, "unpacked_ratio", limits.unpacked_ratio)


def check_unpacked(unpacked: int, packed: int, limits: ReadLimits) -> None:
    """Refuse an archive by what it says of itself.

    Raises:
        OverLimit: It unpacks to too much, by bytes or by ratio.
    """
    if unpacked > limits.unpacked_mib * _MIB:
        found = f"the file unpacks to more than {limits.unpacked_mib} MiB"
        raise OverLimit(found, "unpacked_mib", limits.unpacked_mib)
    check_ratio(unpacked, packed, limits)


def too_long(what: str, limits: ReadLimits, *, share: int = 1) -> OverLimit:
    """The error for text with more characters than a document may have."""
    return OverLimit(
        f"{what} has more than {share * limits.document_characters} characters",
        "document_characters",
        limits.document_characters,
    )


@contextmanager
def open_bounded(
    system: Any, path: str, info: dict[str, Any], limits: ReadLimits
) -> Iterator[io.BufferedReader]:
    """A file of an fsspec file system, unpacked if its name says that it is packed.

    One that is not packed can be sought in; its size is checked before.

    Raises:
        OverLimit: Also from any later read, where the limit is reached.
        UnknownPacking: Its name, or what is in it, asks for something that is not read.
        StoreFailed: Also from any later read, where the place breaks off and not the file.
    """
    size = info.get("size")
    if isinstance(size, int):
        check_file_size(size, limits)
    kind = PurePosixPath(path).suffix.lower()
    if kind in PACKINGS and kind not in _UNPACKED:
        raise UnknownPacking(f"{kind} is not unpacked here; use .gz, .bz2, .xz or .zip")
    of_store = "file" not in _protocols(system)
    with ExitStack() as stack:
        raw = stack.enter_context(system.open(path, "rb"))
        packed = _Stream(raw, limits, of_store=of_store)
        unpack = _UNPACKED.get(kind)
        if unpack is None:
            yield io.BufferedReader(packed)
            return
        # Its checksums come last. Nothing of a damaged file may land, so it is read through first.
        with unpack(io.BufferedReader(packed)) as opened:
            _drain(_Stream(opened, limits, packed=packed, of_store=False))
        raw = stack.enter_context(system.open(path, "rb"))
        packed = _Stream(raw, limits, of_store=of_store)
        opened = stack.enter_context(unpack(io.BufferedReader(packed)))
        yield io.BufferedReader(_Stream(opened, limits, packed=packed, of_store=False))


def _drain(stream: _Stream) -> None:
    buffer = bytearray(_MIB)
    while stream.readinto(buffer):
        pass


def _protocols(system: Any) -> tuple[str, ...]:
    named = system.protocol
    return (named,) if isinstance(named, str) else tuple(named)


@contextmanager
def _unzipped(packed: io.BufferedReader) -> Iterator[IO[bytes]]:
    """The one file of a ZIP archive."""
    with zipfile.ZipFile(packed) as archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(files) != 1:
            raise UnknownPacking(f"the archive holds {len(files)} files and not one; unpack it")
        if files[0].flag_bits & 1:
            raise UnknownPacking("the archive is encrypted; unpack it")
        with archive.open(files[0]) as stream:
            yield stream


_UNPACKED: dict[str, Callable[[io.BufferedReader], AbstractContextManager[Any]]] = {
    ".gz": lambda packed: gzip.GzipFile(fileobj=packed, mode="rb"),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zip": _unzipped,
}
# Suffixes that say how a file is packed; what is not unpacked is refused by name.
PACKINGS = {*_UNPACKED, ".zst", ".lz4", ".sz", ".br", ".z", ".lzma", ".7z", ".rar", ".tar", ".tgz"}
