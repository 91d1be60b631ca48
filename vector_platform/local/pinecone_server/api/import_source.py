"""Where the files of a bulk import are: a folder of this machine, or of an S3-compatible store.

Belongs here: URIs, credentials, and listing one level of folders.

A store is reached as the environment says, by the names that AWS tools use: `AWS_ENDPOINT_URL_S3`
or `AWS_ENDPOINT_URL` (default AWS itself), `AWS_REGION` or `AWS_DEFAULT_REGION`, and
`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`; without keys, only what is
public can be read. Nothing else is looked at: no profile, no metadata service.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..errors import invalid, not_implemented

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_S3 = "s3://"


@dataclass(frozen=True)
class Folder:
    """A folder of a file system, which is connected to when it is first listed or read.

    Attributes:
        path: As the file system names it; an object store's begins with the bucket.
        on_s3: Whether it is in an object store.
    """

    path: str
    on_s3: bool = False

    @classmethod
    def parse(cls, uri: Any) -> Folder:
        """The folder a `uri` names: `s3://bucket/path`, `file:///path`, or a plain path.

        The path of a store and a plain one are taken as they are; `file:` is percent-decoded.

        Raises:
            RequestRefusedError: 400 without one, 501 for other schemes.
        """
        if not isinstance(uri, str) or not uri or "\0" in uri:
            raise invalid("'uri' is required")
        if uri.startswith(_S3):
            if not (path := uri.removeprefix(_S3).strip("/")):
                raise invalid(f"'uri' {uri!r} names no bucket")
            return cls(path, on_s3=True)
        if "://" in uri and not uri.startswith("file://"):
            scheme = uri.partition("://")[0]
            raise not_implemented(
                f"imports from {scheme}://; give s3://bucket/path or file:///path"
            )
        local = unquote(urlsplit(uri).path) if uri.startswith("file://") else uri
        return cls(str(Path(local).absolute()))

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def shown(self) -> str:
        """For messages."""
        return f"{_S3}{self.path}" if self.on_s3 else self.path

    def file_system(self) -> FileSystem:
        """The file system that holds it."""
        from pyarrow.fs import LocalFileSystem

        return _store() if self.on_s3 else LocalFileSystem()

    def folders(self) -> list[Folder]:
        """The folders in it, by name; none where it does not exist."""
        from pyarrow.fs import FileType

        return [Folder(path, self.on_s3) for path in self._entries(FileType.Directory)]

    def files(self, suffix: str) -> list[str]:
        """Paths of the files in it that end so, by name."""
        from pyarrow.fs import FileType

        return [path for path in self._entries(FileType.File) if path.endswith(suffix)]

    def _entries(self, kind: Any) -> list[str]:
        from pyarrow.fs import FileSelector

        listed = self.file_system().get_file_info(FileSelector(self.path, allow_not_found=True))
        return sorted(entry.path for entry in listed if entry.type == kind)


def _store() -> FileSystem:
    from pyarrow.fs import S3FileSystem

    env = os.environ
    endpoint = urlsplit(env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or "")
    key = env.get("AWS_ACCESS_KEY_ID")
    return S3FileSystem(
        endpoint_override=endpoint.netloc + endpoint.path.rstrip("/") or None,
        scheme=endpoint.scheme or "https",
        # Asked for by name, or the library would ask the network for it.
        region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
        access_key=key or None,
        secret_key=env.get("AWS_SECRET_ACCESS_KEY") or None if key else None,
        session_token=env.get("AWS_SESSION_TOKEN") or None if key else None,
        anonymous=not key,
    )
