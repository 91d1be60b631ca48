"""What is remembered of a background server between commands: one JSON file a service.

Belongs here: that file, and telling the process it names from a later one with the same id.
Does not belong here: starting and stopping (`services`).
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psutil

ServiceName = Literal["milvus", "pinecone"]

#: Start times of one process, read twice, differ by less than this many seconds.
_SAME_START_SECONDS = 0.05


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that cannot be taken for another: its id and when it started.

    Attributes:
        pid: The process id, which the system gives away again after its end.
        started_at: Start time in seconds since the epoch.
    """

    pid: int
    started_at: float

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Identify a running process."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """Return the process, or None when it has ended (a zombie has ended)."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started_at) > _SAME_START_SECONDS:
                return None
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.NoSuchProcess:
            return None


@dataclass(frozen=True)
class ServiceRecord:
    """A started server as written to disk.

    Attributes:
        name: Which server.
        uri: Where clients reach it.
        pid: Its process id.
        started_at: When that process started, seconds since the epoch.
        data_dir: Where it keeps its data.
        log: Its output.
    """

    name: ServiceName
    uri: str
    pid: int
    started_at: float
    data_dir: str
    log: str

    @property
    def identity(self) -> ProcessIdentity:
        """The process that was started."""
        return ProcessIdentity(self.pid, self.started_at)


def read_record(path: Path) -> ServiceRecord | None:
    """Read a record; None when there is none."""
    try:
        return ServiceRecord(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def write_record(path: Path, record: ServiceRecord) -> None:
    """Write a record so that a reader sees the old one or the new one, never half."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        json.dump(asdict(record), file, indent=1)
    Path(temporary).replace(path)


def log_tail(log: Path, lines: int = 15) -> list[str]:
    """Return the last lines of a log; empty when there is none."""
    try:
        return log.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
