"""Content hashes of large files, remembered by path, size and modification time.

Belongs here: hashing files. A rewritten file of the same size within the clock's resolution would
keep a stale hash; file systems of today record nanoseconds, and installed weights do not change in
place.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def hash_file(path: Path, cache_dir: Path) -> str:
    """SHA-256 of a file as hex, read from the cache when size and mtime are unchanged."""
    resolved = path.resolve()
    status = resolved.stat()
    known = {"path": str(resolved), "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    key = hashlib.sha256(str(resolved).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    entry = cache_dir / "hashes" / f"{key}.json"
    try:
        stored = json.loads(entry.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stored = {}
    if isinstance(stored, dict) and {name: stored.get(name) for name in known} == known:
        return str(stored["sha256"])
    with resolved.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    write_atomically(entry, json.dumps(known | {"sha256": digest}).encode())
    return digest


def hash_files(paths: Iterable[Path], *, root: Path, cache_dir: Path) -> str:
    """One SHA-256 over the names (relative to `root`) and contents of files, order-free."""
    whole = hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in paths):
        whole.update(f"{name}\x00{hash_file(path, cache_dir)}\n".encode())
    return whole.hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a kill, sees all of it or the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
