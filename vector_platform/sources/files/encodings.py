"""Bytes to text: by their byte order mark, what is said of them, or UTF-8; never by a guess.

Belongs here: which encoding a text is in, when that is not true, and lines of text one by one.

Every way is strict. A wrong encoding is found where bytes have no meaning in it, where they mean
control characters that no text has, and where they are UTF-8 to the last byte although another
encoding is named, which text in another encoding practically never is.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import IO

from vector_platform.lake.rules import is_unicode
from vector_platform.settings import ReadLimits, text_codec
from vector_platform.sources.limits import RECORD_SHARE, too_long

# The mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What a name means to whoever writes it: browsers read these as the larger set.
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
}
# Labels of pages that Python does not know.
_LABELS = {
    "x-sjis": "cp932",
    "x-gbk": "gb18030",
    "windows-949": "cp949",
    "iso-8859-8-i": "iso8859-8",
    "unicode-1-1-utf-8": "utf-8",
    "x-x-big5": "big5",
}
_CONTROLS = re.compile("[\x80-\x84\x86-\x9f]")
_WAY_OUT = "save it as UTF-8, or name its encoding: `encoding` of the source"
# Enough of a file to see how its lines end.
_HEAD_BYTES = 8192


class BadEncoding(ValueError):
    """Bytes that are no text in the encoding they are said to be in. The message says which."""


def codec_of(label: str) -> str | None:
    """Python's codec for a declared name, as browsers understand it; None for an unknown one."""
    codec = _LABELS.get(label.strip().lower()) or text_codec(label.strip())
    return _MEANT.get(codec, codec) if codec else None


def mark_of(content: bytes) -> str | None:
    """The codec that a byte order mark names."""
    return next((codec for mark, codec in _MARKS if content.startswith(mark)), None)


def decode(content: bytes, *, encoding: str | None, declared: str | None = None) -> str:
    """The text of a whole file.

    Args:
        content: Its bytes.
        encoding: The source's setting. Only a byte order mark goes before it.
        declared: What the file says of itself. A name that is unknown means nothing.

    Raises:
        BadEncoding: The bytes are something else.
    """
    if marked := mark_of(content):
        return _strictly(content, marked, "which its byte order mark says")
    if encoding is not None:
        codec = codec_of(encoding)
        assert codec is not None, "settings admit known encodings only"
        return _checked(content, codec, f"the source's `encoding: {encoding}`")
    if declared is not None and (codec := codec_of(declared)):
        # A declaration that could be read is in ASCII, so UTF-16 is not true, whatever it says.
        if not codec.startswith(("utf-16", "utf-32", "utf-8")):
            return _checked(content, codec, f"which it declares ({declared})")
        text = _strictly(content, "utf-8", f"which it declares ({declared})")
    else:
        text = _strictly(content, "utf-8", "and nothing says what else")
    if "\0" in text:
        raise BadEncoding(
            "not text in UTF-8: it holds NUL characters, as UTF-16 without a byte order mark does; "
            + _WAY_OUT
        )
    return text


def _strictly(content: bytes, codec: str, why: str) -> str:
    try:
        return content.decode(codec)
    except UnicodeError as error:
        where = ""
        if isinstance(error, UnicodeDecodeError):
            where = f" ({error.reason} at byte {error.start})"
        name = codec.removesuffix("-sig").upper()
        raise BadEncoding(f"not {name}, {why}{where}; {_WAY_OUT}") from None


def _checked(content: bytes, codec: str, why: str) -> str:
    text = _strictly(content, codec, why)
    if problem := _contradiction(content, text, codec):
        raise BadEncoding(f"{problem}, {why}; {_WAY_OUT}")
    return text


def _contradiction(content: bytes, text: str, codec: str) -> str | None:
    """What speaks against a text that could be decoded."""
    if codec.startswith("utf"):
        return None
    if not content.isascii() and _is_utf_8(content):
        return f"its bytes are UTF-8 and not {codec.upper()}"
    if _CONTROLS.search(text):
        return f"its bytes are control characters in {codec.upper()}"
    return None


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class TextLines:
    """Lines of a text file, as long as those of one record are not too long together.

    A line that is not in the file's encoding comes with `is_bad` set, so that only its record is
    lost. Lines end with a line feed, unless the first one ends with a carriage return alone.

    Attributes:
        number: Lines that have been read.
        codec: The encoding.
        is_bad: Why the lines since `begin_record` are not in it; None when they are.
    """

    def __init__(
        self, stream: IO[bytes], *, encoding: str | None, limits: ReadLimits, json: bool = False
    ) -> None:
        head: bytes = stream.peek(_HEAD_BYTES)  # type: ignore[attr-defined]
        marked = mark_of(head)
        self.codec = marked or (codec_of(encoding) if encoding else None) or "utf-8"
        self._is_named = marked is not None or encoding is not None
        # Bytes that are no text become surrogates; those of wide codecs would lose their step.
        is_wide = self.codec.startswith(("utf-16", "utf-32"))
        ending = re.search(r"\r(?!\n|$)|\n", head.decode(self.codec, "replace"))
        newline = "\r" if ending is not None and ending[0] == "\r" and not json else "\n"
        self._text = io.TextIOWrapper(
            stream, self.codec, errors="strict" if is_wide else "surrogateescape", newline=newline
        )
        self._limits = limits
        self.most = RECORD_SHARE * limits.document_characters
        self._left = self.most
        self.number = 0
        self.is_bad: str | None = None
        self._lines: list[str] = []

    def begin_record(self) -> None:
        """From here on lines belong to another record."""
        self._left = self.most
        self.is_bad = None
        self._lines.clear()

    @property
    def record(self) -> str:
        """The lines since `begin_record`, as they stand in the file."""
        return "".join(self._lines)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.read()
        if line is None:
            raise too_long("a record", self._limits, share=RECORD_SHARE)
        if not line:
            raise StopIteration
        return line

    def read(self) -> str | None:
        """The next line, empty at the end; None for one that is too long, which is read over.

        Raises:
            BadEncoding: From here on nothing can be decoded.
        """
        try:
            line = self._text.readline(self._left + 1)
            if line:
                self.number += 1
            self._left -= len(line)
            if self._left < 0:
                while line and not line.endswith(("\n", "\r")):
                    line = self._text.readline(self.most)
                return None
        except UnicodeError:
            raise BadEncoding(
                f"not {self.codec.upper()} from about line {self.number + 1} on; {_WAY_OUT}"
            ) from None
        if not line.isascii() and self.is_bad is None:
            self.is_bad = self._problem(line)
        self._lines.append(line)
        return line

    def _problem(self, line: str) -> str | None:
        name = self.codec.removesuffix("-sig").upper()
        if not is_unicode(line):
            return f"not {name}; {_WAY_OUT}"
        if self.codec.startswith("utf"):
            return None
        problem = _contradiction(line.encode(self.codec, "replace"), line, self.codec)
        return f"{problem}; {_WAY_OUT}" if problem else None

    def nul_problem(self, text: str) -> str | None:
        """What is wrong with a header that holds NUL characters, unless an encoding is named."""
        if "\0" not in text or self._is_named:
            return None
        return (
            "not text in UTF-8: it holds NUL characters, as UTF-16 without a byte order mark "
            f"does; {_WAY_OUT}"
        )
