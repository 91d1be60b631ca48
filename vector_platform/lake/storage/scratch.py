"""Temporary folders of this machine that are swept once their process is gone, however it ended.

Belongs here: making, holding and sweeping them. A process that is killed removes nothing; the
operating system lets go of its lock, by which the next one sees that nobody uses the folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout


class ScratchFolder:
    """A folder for files that nobody reads after this process.

    Making one removes those that killed processes of this user have left behind. A context manager,
    which removes it in the end.

    Args:
        purpose: How its name begins.

    Attributes:
        path: Where it is.
    """

    def __init__(self, purpose: str) -> None:
        base = _base()
        # Nobody sweeps between the making of a folder and the taking of its lock.
        with FileLock(base / "sweep.lock"):
            for left in base.iterdir():
                if left.is_dir():
                    _remove_unless_held(left)
            self.path = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=base))
            self._lock = _lock_of(self.path)
            self._lock.acquire(timeout=0)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove it with all it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
        _lock_file(self.path).unlink(missing_ok=True)
        self._lock.release()


def _base() -> Path:
    """One folder a user; another one, for this time, where its name is somebody else's."""
    base = Path(tempfile.gettempdir()) / f"vector-platform-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.getuid():
        return Path(tempfile.mkdtemp(prefix="vector-platform-"))
    return base


def _remove_unless_held(folder: Path) -> None:
    try:
        with _lock_of(folder).acquire(timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
            _lock_file(folder).unlink(missing_ok=True)
    except Timeout:
        return


def _lock_of(folder: Path) -> FileLock:
    return FileLock(_lock_file(folder), thread_local=False)


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
