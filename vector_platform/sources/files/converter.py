"""The process that turns PDF and DOCX files into text, one after the other.

Belongs here: what runs in the child: its own limits, and one conversion a request. Requests and
answers are JSON, each with its length in eight bytes before it, on standard input and output.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import IO, Any

import psutil

_MIB = 1024 * 1024
# What errors mean whose text is empty.
_UNSAID = {
    "PDFPasswordIncorrect": "it opens with a password only; save it without one",
    "MissingDependencyException": "markitdown[docx,pdf] is not installed in full",
}


def send(stream: IO[bytes], message: dict[str, Any]) -> None:
    """Write one message."""
    content = json.dumps(message).encode()
    stream.write(len(content).to_bytes(8, "big") + content)
    stream.flush()


def main() -> None:
    """Answer requests until standard input ends."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a library prints must not stand between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    reader = _markitdown()
    held = psutil.Process().memory_info()
    send(answers, {"ready": "yes", "held": str(held.rss)})
    while head := requests.read(8):
        request = json.loads(requests.read(int.from_bytes(head, "big")))
        _limit(request["seconds"], held.vms + request["mib"] * _MIB)
        send(answers, _answer(reader, request))


def _answer(reader: Any, request: dict[str, Any]) -> dict[str, Any]:
    from markitdown import FileConversionException, StreamInfo

    try:
        with open(request["path"], "rb") as stream:  # noqa: PTH123 (a name, not a path of ours)
            info = StreamInfo(extension=request["suffix"], mimetype=request["mime"])
            text = str(reader.convert_stream(stream, stream_info=info).markdown)
        if len(text) > request["characters"]:
            return {"over": "document_characters"}
        return {"text": text}
    except FileConversionException as error:
        # The reason is that of the one converter, below a sentence about attempts.
        causes = [one.exc_info[1] for one in error.attempts or [] if one.exc_info]
        cause: BaseException = causes[0] if causes and causes[0] else error
    except Exception as error:
        # Parsers of broken files raise whatever they stumble over.
        cause = error
    if isinstance(cause, MemoryError):
        return {"over": "conversion_mib"}
    said = " ".join(str(cause).split()) or _UNSAID.get(type(cause).__name__, "")
    return {"error": f"{type(cause).__name__}: {said}".removesuffix(": ")}


def _limit(seconds: int, space: int) -> None:
    """Let the system end this process where it goes too far, should nobody watch it.

    macOS keeps no limit on address space; there the watching parent alone sees to the memory.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        until = int(used.ru_utime + used.ru_stime) + seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_AS, (space, resource.RLIM_INFINITY))


def _markitdown() -> Any:
    from markitdown import MarkItDown
    from markitdown.converters import DocxConverter, PdfConverter

    # Only these two: with its plain-text converter it would take a broken PDF for a text.
    reader = MarkItDown(enable_builtins=False, enable_plugins=False)
    reader.register_converter(PdfConverter())
    reader.register_converter(DocxConverter())
    return reader


if __name__ == "__main__":
    main()
