"""From a section of `platform.yaml` to an opened source.

Belongs here: the choice of the reader. Nothing is connected to before `read`; the readers'
libraries are imported when they are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vector_platform.settings import FilesSource, FrameSource, SourceSettings, SqlSource
from vector_platform.sources.base import Source


def open_source(
    name: str,
    spec: SourceSettings,
    root: Path,
    *,
    packages: Sequence[str] = (),
    rows: object = None,
) -> Source:
    """The source that a section of `platform.yaml` describes.

    Args:
        name: Name of the source.
        spec: Its section.
        root: Folder of `platform.yaml`; relative paths start there, and a user's own modules
            beside it can be imported.
        packages: Installed packages that a `python` source's class may come from.
        rows: What was handed over to a `frame` source.

    Raises:
        SourceInvalid: A `python` source's class cannot be used.
        SettingsError: A secret that a `sql` source's URL names is not in the environment.
    """
    if isinstance(spec, FilesSource):
        from vector_platform.sources.files.source import FilesReader

        return FilesReader(name, spec, root)
    if isinstance(spec, SqlSource):
        from vector_platform.sources.sql.source import SqlReader

        return SqlReader(name, spec, root)
    if isinstance(spec, FrameSource):
        from vector_platform.sources.frames import FrameReader

        return FrameReader(name, rows, f"asset:{spec.asset}" if spec.asset else f"frame:{name}")
    from vector_platform.sources.python import open_class

    return open_class(name, spec.path, spec.options, root, packages=packages)
