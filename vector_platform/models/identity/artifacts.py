"""Folders that are computed once and shared: conversions and exports.

Belongs here: building a folder so that concurrent processes build it once and a kill leaves
nothing half-made.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Return `target`, building it first when it is not there.

    The folder is made beside its place under a lock and renamed when complete, so it is never
    seen in part; what a killed builder left is removed by the next one.

    Args:
        target: The folder. Its name must identify its content.
        build: Fills the empty folder it is given.
    """
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}.partial-"
    with FileLock(target.parent / f".{target.name}.lock"):
        if target.is_dir():
            return target
        for left in target.parent.glob(f"{prefix}*"):
            shutil.rmtree(left)
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=prefix))
        build(partial)
        partial.chmod(0o755)
        partial.rename(target)
    return target
