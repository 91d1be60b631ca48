"""Whole files as documents: Markdown, plain text, HTML, PDF, DOCX.

Belongs here: text and title of one file. Does not belong here: finding files (`files.py`) and
splitting text (`corpus`). Markdown and plain text are read as they are and HTML by our own
`markup.py`; markitdown, which is slow to import, is asked only for PDF and DOCX.
"""

from __future__ import annotations

import functools
import io
import re
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Any

from vector_platform.sources.base import Reject, SourceRow
from vector_platform.sources.markup import read_html
from vector_platform.sources.payload import as_utc

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

_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*$")
# What file systems call the time of the last change.
_MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "created")


def read_document(
    content: bytes, *, relative: str, suffix: str, uri: str, info: dict[str, Any]
) -> SourceRow | Reject:
    """One file as a row with the columns path, title, text, modified and mime.

    The title is the first heading (`<title>` in HTML), else the file's name. A heading that opens
    the text is not repeated in it.

    Args:
        content: The file.
        relative: Its path below the source's folder: the key.
        suffix: Its suffix, which decides how it is read.
        uri: Lineage.
        info: What the file system says about it; `modified` is taken from it.
    """

    def reject(reason: str) -> Reject:
        return Reject(place=uri, reason=reason, uri=uri)

    try:
        title, text = _read(content, suffix)
    except UnicodeDecodeError as error:
        return reject(f"bad encoding: not UTF-8 ({error.reason} at byte {error.start})")
    except Exception as error:
        # Parsers of broken files raise whatever they stumble over.
        lines = str(error).strip().splitlines()
        return reject(f"unreadable file: {type(error).__name__}: {lines[0] if lines else ''}"[:500])
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


def _read(content: bytes, suffix: str) -> tuple[str, str]:
    if suffix in (".html", ".htm"):
        page = read_html(content)
        if not page.is_faithful:
            raise UnicodeDecodeError("html", content, 0, len(content), "bytes had to be replaced")
        return page.title, _without_opening(page.title, page.text)
    if suffix in (".pdf", ".docx"):
        text = _convert(content, suffix).replace("\f", "\n\n").strip()
    else:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").strip()
    if suffix in (".txt", ".pdf"):
        return "", text
    title = _first_heading(text)
    return title, _without_opening(title, text)


def _first_heading(markdown: str) -> str:
    fenced = False
    for line in markdown.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (heading := _HEADING.match(line)):
            return heading[1].strip()
    return ""


def _without_opening(title: str, text: str) -> str:
    first, _, rest = text.partition("\n")
    heading = _HEADING.match(first)
    same = heading is not None and heading[1].strip() == title
    return rest.strip() if same and rest.strip() else text


def _convert(content: bytes, suffix: str) -> str:
    from markitdown import StreamInfo

    info = StreamInfo(extension=suffix, mimetype=_MIME[suffix])
    return str(_markitdown().convert_stream(io.BytesIO(content), stream_info=info).markdown)


@functools.cache
def _markitdown() -> Any:
    from markitdown import MarkItDown
    from markitdown.converters import DocxConverter, PdfConverter

    # Only these two: with its plain-text converter it would take a broken PDF for a text.
    reader = MarkItDown(enable_builtins=False, enable_plugins=False)
    reader.register_converter(PdfConverter())
    reader.register_converter(DocxConverter())
    return reader


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
