"""PDF and DOCX to text in a process of its own, which may fail, hang or eat memory.

Belongs here: starting that process, watching its time and memory, and ending it. One process
serves all files of a reading, because its libraries take seconds to load; after a kill the next
file gets another.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from vector_platform.settings import ReadLimits
from vector_platform.sources.files.converter import send
from vector_platform.sources.limits import OverLimit, check_unpacked, too_long

_MIB = 1024 * 1024
# How office files begin that are no ZIP archives: old ones, and those with a password.
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_LOOK_SECONDS = 0.1
# Loading the libraries, on a busy machine; it is not the file's fault.
_START_SECONDS = 120
_WAY_OUT = "convert it to Markdown or text first, or raise the limit"


class ConversionFailed(Exception):
    """A file cannot be converted. The message is the reason the library gave."""


class Converter:
    """Converts files within the limits of a source. A context manager; starts when first asked."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        # What the libraries hold is not the file's; known when they are loaded.
        self._most_bytes = sys.maxsize
        self.starts = 0

    def __enter__(self) -> Converter:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def convert(self, path: Path, *, suffix: str, mime: str) -> str:
        """The text of a file.

        Raises:
            OverLimit: It takes too much time or memory, unpacks to too much, or is too long.
            ConversionFailed: It is damaged or locked.
        """
        if suffix == ".docx":
            self._check_archive(path)
        is_used = self._child is not None
        answer = self._ask(path, suffix, mime)
        if is_used and answer.get("over") == "conversion_mib":
            # What earlier files left behind may have filled it.
            answer = self._ask(path, suffix, mime)
        over = answer.get("over")
        limits = self._limits
        if over == "document_characters":
            raise too_long("the document", limits)
        if over == "conversion_mib":
            found = f"its conversion takes more than {limits.conversion_mib} MiB of memory"
            raise OverLimit(found, "conversion_mib", limits.conversion_mib, _WAY_OUT)
        if over == "conversion_seconds":
            found = f"its conversion takes more than {limits.conversion_seconds} seconds"
            raise OverLimit(found, "conversion_seconds", limits.conversion_seconds, _WAY_OUT)
        if "error" in answer:
            raise ConversionFailed(answer["error"])
        return answer["text"]

    def _check_archive(self, path: Path) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
        except Exception as error:
            # A broken directory of an archive also gives errors of numbers and of encodings.
            with path.open("rb") as file:
                is_old = file.read(len(_OLE)) == _OLE
            why = "; it opens with a password only, or is a .doc: save it as a .docx without one"
            raise ConversionFailed(f"{type(error).__name__}: {error}{why * is_old}") from None
        check_unpacked(unpacked, path.stat().st_size, self._limits)

    def _ask(self, path: Path, suffix: str, mime: str) -> dict[str, str]:
        child = self._started()
        assert child.stdin is not None
        limits = self._limits
        request = {
            "path": str(path),
            "suffix": suffix,
            "mime": mime,
            "characters": limits.document_characters,
            "seconds": limits.conversion_seconds,
            "mib": limits.conversion_mib,
        }
        try:
            send(child.stdin, request)
            answer = self._answer(child, limits.conversion_seconds)
        except (BrokenPipeError, EOFError):
            code = child.wait()
            self._end()
            # SIGXCPU is our limit of CPU time; a parser that dies of memory mostly aborts.
            answer = {"error": f"the converter died (exit code {code})"}
            if -code in _signals("SIGXCPU"):
                answer = {"over": "conversion_seconds"}
            elif -code in _signals("SIGKILL", "SIGABRT", "SIGSEGV"):
                answer = {"over": "conversion_mib"}
        if answer.get("over") in ("conversion_mib", "conversion_seconds"):
            self._end()
        return answer

    def _answer(self, child: subprocess.Popen[bytes], seconds: float) -> dict[str, str]:
        """Wait for the answer and look after the child meanwhile."""
        import psutil

        assert child.stdout is not None
        process = psutil.Process(child.pid)
        deadline = time.monotonic() + seconds
        content, size = bytearray(), 8
        while len(content) < size:
            if not select.select([child.stdout], [], [], _LOOK_SECONDS)[0]:
                if time.monotonic() > deadline:
                    return {"over": "conversion_seconds"}
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.memory_info().rss > self._most_bytes:
                        return {"over": "conversion_mib"}
                continue
            if not (more := os.read(child.stdout.fileno(), _MIB)):
                raise EOFError
            content += more
            if size == 8 and len(content) >= 8:
                size = 8 + int.from_bytes(content[:8], "big")
        found: dict[str, str] = json.loads(bytes(content[8:]))
        return found

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            root = str(Path(__file__).parents[3])
            paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
            self._child = subprocess.Popen(
                [sys.executable, "-m", "vector_platform.sources.files.converter"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
            self.starts += 1
            self._await_start(self._child)
        return self._child

    def _await_start(self, child: subprocess.Popen[bytes]) -> None:
        try:
            self._most_bytes = sys.maxsize
            ready = self._answer(child, _START_SECONDS)
        except EOFError:
            ready = {}
        if "ready" not in ready:
            self._end()
            raise ConversionFailed("the converter does not start; is markitdown installed?")
        self._most_bytes = int(ready["held"]) + self._limits.conversion_mib * _MIB

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()


def _signals(*names: str) -> set[int]:
    import signal

    return {int(getattr(signal, name)) for name in names if hasattr(signal, name)}
