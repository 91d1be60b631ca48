"""How much of a file is read before it is refused.

Belongs here: counting what a file gives, packed and unpacked, against the limits of its source.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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


class _Counted(io.RawIOBase):
    """A stream that breaks off with `OverLimit` where it has given too much."""

    def __init__(self, stream: Any, limits: ReadLimits, packed: _Counted | None = None) -> None:
        self._stream, self._limits, self._packed = stream, limits, packed
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data: bytes = self._stream.read(len(buffer))
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
) -> Iterator[IO[bytes]]:
    """A file of an fsspec file system, unpacked if its name says that it is packed.

    One that is not packed can be sought in; its size is checked before.

    Raises:
        OverLimit: Also from any later read, where the limit is reached.
    """
    from fsspec.compression import compr
    from fsspec.utils import infer_compression

    size = info.get("size")
    if isinstance(size, int):
        check_file_size(size, limits)
    kind = infer_compression(path)
    with ExitStack() as stack:
        raw = stack.enter_context(system.open(path, "rb"))
        if kind is None:
            yield raw
            return
        packed = _Counted(raw, limits)
        opened = stack.enter_context(compr[kind](io.BufferedReader(packed), mode="rb"))
        yield io.BufferedReader(_Counted(opened, limits, packed))
