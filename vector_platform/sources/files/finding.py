"""The files of a source: one path, a folder, a glob, or an fsspec URL.

Belongs here: what a path means, and walking folders. A name is taken as it is where something is
called so, and as a pattern only where nothing is. Links to folders are followed, and each folder is
read once, so that a circle ends. What cannot be looked at is said.
"""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from vector_platform.sources.base import Notes, Reject, SourceInvalid, SourceUnreachable
from vector_platform.sources.files.patterns import depth_of, fixed_parts, matcher
from vector_platform.sources.limits import PACKINGS


@dataclass(frozen=True)
class FoundFile:
    """A file of the source.

    Attributes:
        path: What the file system calls it.
        relative: Below the configured folder; the key of a document.
        uri: Lineage: relative to the folder of `platform.yaml` where it lies below it.
        info: What the file system says about it.
        problem: Why it must not be opened.
    """

    path: str
    relative: str
    uri: str
    info: dict[str, Any]
    problem: str | None = None

    @property
    def suffix(self) -> str:
        """The suffix that tells the format, in lower case, without a packing's."""
        return suffix_of(self.path)


@dataclass
class Found:
    """What a path names.

    Attributes:
        system: The fsspec file system that opens the files.
        files: In the order of their paths.
        troubles: What could not be looked at. Nothing that may lie behind it counts as removed.
        notes: What was left out.
    """

    system: Any
    files: list[FoundFile] = field(default_factory=list)
    troubles: list[Reject] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)


def suffix_of(path: str) -> str:
    """The suffix of a file that tells its format, in lower case, without a packing's."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    if len(suffixes) > 1 and suffixes[-1] in PACKINGS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def find(source: str, path: str, root: Path, is_known: Callable[[str], bool]) -> Found:
    """The files that a path names; there may be none.

    Args:
        source: Name of the source.
        path: The setting: a file, a folder (every file below it that is known, but hidden ones),
            a glob, or a URL of one of these.
        root: Where a relative path starts.
        is_known: Whether a suffix is read, in a folder.

    Raises:
        SourceUnreachable: There is no such file or folder, or the store does not answer.
        SourceInvalid: Nothing opens such a URL.
    """
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    try:
        given = Path(path)
        if not os.path.exists(root / given):  # noqa: PTH110 (False also for what cannot be a path)
            if "://" in path or "::" in path:
                system, start = fsspec.core.url_to_fs(path)
                if not isinstance(system, LocalFileSystem):
                    return _Remote(source, path, system, is_known).find(start.rstrip("/") or "/")
                given = Path(start)
            elif path.startswith("~") and not (root / given.parts[0]).exists():
                given = given.expanduser()
        return _Local(source, path, LocalFileSystem(), root, is_known).find(given)
    except (SourceUnreachable, SourceInvalid):
        raise
    except (ImportError, ValueError) as error:
        # No such protocol, or its client is not installed: fsspec says which.
        raise SourceInvalid(source, f"path: {error}") from error
    except Exception as error:
        # fsspec's stores raise errors of their own client libraries.
        raise SourceUnreachable(source, f"{without_user(path)}: {said(error)}") from None


class _Local:
    """Files on disk."""

    def __init__(
        self, source: str, named: str, system: Any, root: Path, is_known: Callable[[str], bool]
    ) -> None:
        self._source, self._named, self._root = source, named, root
        self._is_known = is_known
        self._found = Found(system)

    def find(self, given: Path) -> Found:
        whole = self._root / given
        if whole.is_dir():
            for file, relative in self._walk(whole, None, hidden=False):
                if self._is_known(suffix_of(relative)):
                    self._take(file, relative)
                else:
                    what = f"files of unknown format left out: {suffix_of(relative) or 'no suffix'}"
                    self._found.notes.add(what, self._uri(file))
        elif whole.exists():
            self._take(whole, whole.name)
        else:
            start = self._root / given.anchor
            parts = given.relative_to(given.anchor).parts if given.anchor else given.parts
            fixed = fixed_parts(parts, lambda names: start.joinpath(*names).exists())
            base, pattern = start.joinpath(*parts[:fixed]), parts[fixed:]
            _expect(self._source, self._named, pattern, base.is_dir())
            is_match = matcher(pattern)
            for file, relative in self._walk(base, depth_of(pattern)):
                if is_match(relative):
                    self._take(file, relative)
        self._found.files.sort(key=lambda file: file.path)
        return self._found

    def _take(self, file: Path, relative: str) -> None:
        info: dict[str, Any] = {}
        problem = None
        try:
            known = file.stat()
            info = {"size": known.st_size, "mtime": known.st_mtime}
            if not stat.S_ISREG(known.st_mode):
                # Opening a pipe waits for somebody who writes into it.
                problem = "a pipe, a socket or a device"
        except OSError as error:
            problem = said(error)
        self._found.files.append(FoundFile(str(file), relative, self._uri(file), info, problem))

    def _walk(
        self, top: Path, depth: int | None, *, hidden: bool = True
    ) -> Iterator[tuple[Path, str]]:
        """Files below a folder, with their paths relative to it; links last."""
        folders, links, seen = deque([(top, "")]), deque[tuple[Path, str]](), set[tuple[int, int]]()
        while folders or links:
            folder, below = folders.popleft() if folders else links.popleft()
            try:
                known = folder.stat()
                if (known.st_dev, known.st_ino) in seen:
                    self._found.notes.add("folders that are read elsewhere", self._uri(folder))
                    continue
                seen.add((known.st_dev, known.st_ino))
                with os.scandir(folder) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self._trouble(folder, said(error))
                continue
            for entry in listed:
                path, relative = Path(entry.path), below + entry.name
                if not hidden and entry.name.startswith("."):
                    continue
                try:
                    is_folder = entry.is_dir()
                    is_lost = entry.is_symlink() and not path.exists()
                except OSError as error:
                    self._trouble(path, said(error))
                    continue
                if is_folder:
                    if depth is None or below.count("/") < depth:
                        (links if entry.is_symlink() else folders).append((path, f"{relative}/"))
                elif is_lost and not self._is_known(suffix_of(entry.name)):
                    # It may have led to a folder.
                    self._trouble(path, "a link that leads nowhere")
                else:
                    yield path, relative

    def _trouble(self, folder: Path, why: str) -> None:
        # Without a URI: nobody knows what lies behind it.
        self._found.troubles.append(Reject(self._uri(folder), f"unreadable folder: {why}"))

    def _uri(self, path: Path) -> str:
        is_below = path.is_relative_to(self._root)
        return _writable((path.relative_to(self._root) if is_below else path).as_posix())


class _Remote:
    """Files of an object store, a server or an archive."""

    def __init__(
        self, source: str, named: str, system: Any, is_known: Callable[[str], bool]
    ) -> None:
        self._source, self._named = source, without_user(named)
        self._system, self._is_known = system, is_known
        self._found = Found(system)

    def find(self, start: str) -> Found:
        if self._system.isdir(start):
            for path, info in sorted(self._system.find(start, detail=True).items()):
                relative = path.removeprefix(start).lstrip("/")
                if any(part.startswith(".") for part in relative.split("/")):
                    continue
                if self._is_known(suffix_of(relative)):
                    self._take(path, relative, info)
                else:
                    what = f"files of unknown format left out: {suffix_of(relative) or 'no suffix'}"
                    self._found.notes.add(what, self._uri(path))
        elif self._system.exists(start):
            self._take(start, start.rpartition("/")[2], self._system.info(start))
        else:
            parts = start.split("/")
            fixed = fixed_parts(parts, lambda names: bool(self._system.exists("/".join(names))))
            base, pattern = "/".join(parts[:fixed]), parts[fixed:]
            is_there = bool(pattern) and self._system.exists(base or "/")
            _expect(self._source, self._named, pattern, is_there)
            is_match, depth = matcher(pattern), depth_of(pattern)
            levels = None if depth is None else depth + 1
            listed = self._system.find(base or "/", maxdepth=levels, detail=True)
            for path, info in sorted(listed.items()):
                relative = path.removeprefix(base).lstrip("/")
                if is_match(relative):
                    self._take(path, relative, info)
        return self._found

    def _take(self, path: str, relative: str, info: dict[str, Any]) -> None:
        self._found.files.append(FoundFile(path, relative, self._uri(path), info))

    def _uri(self, path: str) -> str:
        return _writable(without_user(str(self._system.unstrip_protocol(path))))


def _expect(source: str, named: str, pattern: Sequence[str], is_there: bool) -> None:
    if not pattern:
        raise SourceUnreachable(source, f"no such file or folder: {named}")
    if not is_there:
        raise SourceUnreachable(source, f"no such folder: {named}")


def said(error: Exception) -> str:
    """What kind of error it is, and its text in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return without_user(f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": "))


def without_user(url: str) -> str:
    """A text whose URLs have no `user:password@`."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", url)


def _writable(uri: str) -> str:
    # A name on disk may be no Unicode; tables and messages hold only that.
    return uri.encode("utf-8", "backslashreplace").decode()
