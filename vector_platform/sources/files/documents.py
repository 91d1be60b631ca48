"""Whole files as documents: Markdown, plain text, HTML, PDF, DOCX.

Belongs here: text and title of one file. Markdown and plain text are read as they are and HTML by
our own `markup.py`; PDF and DOCX go to a process of their own (`conversion.py`).
"""

from __future__ import annotations

import re
import shutil
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import IO, Any

from vector_platform.lake.contract import as_utc
from vector_platform.lake.storage.scratch import ScratchFolder
from vector_platform.settings import ReadLimits
from vector_platform.sources.base import Reject, SourceRow
from vector_platform.sources.files.conversion import ConversionFailed, Converter
from vector_platform.sources.files.encodings import BadEncoding, decode
from vector_platform.sources.files.markup import declared_encoding, read_html
from vector_platform.sources.limits import too_long

_MIME = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
DOCUMENT_SUFFIXES = tuple(_MIME)
# Of every row that is a whole document.
DOCUMENT_COLUMNS = ("path", "title", "text", "modified", "mime")

_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+")
_MAX_BYTES_PER_CHARACTER = 4
# What file systems call the time of the last change.
_MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "created")


def read_document(
    stream: IO[bytes],
    *,
    relative: str,
    suffix: str,
    uri: str,
    info: dict[str, Any],
    encoding: str | None,
    limits: ReadLimits,
    converter: Converter,
) -> SourceRow | Reject:
    """One file as a row with `DOCUMENT_COLUMNS`.

    The title is the first heading (`<title>` in HTML), else the file's name. A heading that opens
    the text is not repeated in it.

    Args:
        stream: The file.
        relative: Its path below the source's folder: the key.
        suffix: Its suffix, which decides how it is read.
        uri: Lineage.
        info: What the file system says about it; `modified` is taken from it.
        encoding: The source's setting for text.
        limits: What it may take to read it.
        converter: Asked for PDF and DOCX.

    Raises:
        OverLimit: It is larger than the limits allow.
    """

    def reject(reason: str) -> Reject:
        return Reject(place=uri, reason=reason, uri=uri)

    try:
        title, text = _read(stream, suffix, encoding, limits, converter)
    except BadEncoding as error:
        return reject(f"bad encoding: {error}")
    except ConversionFailed as error:
        return reject(f"unreadable file: {error}")
    if len(text) > limits.document_characters:
        raise too_long("the document", limits)
    if not text.strip():
        return reject("no text: the file holds no readable text (a scan needs OCR first)")
    values = {
        "path": relative,
        "title": title or PurePosixPath(relative).stem,
        "text": text,
        "modified": _modified(info),
        "mime": _MIME.get(suffix, "text/plain"),
    }
    return SourceRow(values, place=uri, uri=uri)


def _read(
    stream: IO[bytes],
    suffix: str,
    encoding: str | None,
    limits: ReadLimits,
    converter: Converter,
) -> tuple[str, str]:
    if suffix in (".pdf", ".docx"):
        text = _convert(stream, suffix, converter).replace("\f", "\n\n").strip()
    else:
        most = _MAX_BYTES_PER_CHARACTER * limits.document_characters
        content = stream.read(most + 1)
        if len(content) > most:
            raise too_long("the document", limits)
        if suffix in (".html", ".htm"):
            page = read_html(
                decode(content, encoding=encoding, declared=declared_encoding(content))
            )
            return page.title, _without_opening(page.title, page.text)
        text = decode(content, encoding=encoding).replace("\r\n", "\n").strip()
    if suffix in (".txt", ".pdf"):
        return "", text
    title = _first_heading(text)
    return title, _without_opening(title, text)


def _convert(stream: IO[bytes], suffix: str, converter: Converter) -> str:
    with ScratchFolder("document") as folder:
        path = folder / f"document{suffix}"
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file)
        return converter.convert(path, suffix=suffix, mime=_MIME[suffix])


def _first_heading(markdown: str) -> str:
    fenced = False
    for line in markdown.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (heading := _heading(line)) is not None:
            return heading
    return ""


def _heading(line: str) -> str | None:
    """The text of a Markdown heading without the signs around it; None for another line."""
    opening = _HEADING.match(line)
    if opening is None or opening.end() == len(line):
        return None
    text = line[opening.end() :]
    return text.rstrip("#").strip() or text[0]


def _without_opening(title: str, text: str) -> str:
    first, _, rest = text.partition("\n")
    same = _heading(first) == title
    return rest.strip() if same and rest.strip() else text


def modified_at(info: dict[str, Any]) -> datetime | None:
    """When a file was last written, where the file system tells it as a time."""
    for name in _MODIFIED:
        value = info.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, datetime):
            return as_utc(value)
    return None


def _modified(info: dict[str, Any]) -> str | None:
    """When the file was last written, where the file system knows, to the second."""
    moment = modified_at(info)
    if moment is not None:
        return moment.isoformat(timespec="seconds")
    told = (str(info[name]) for name in _MODIFIED if isinstance(info.get(name), (str, date)))
    return next(filter(None, told), None)
