"""What is remembered of a background server between commands: one JSON file a service.

Belongs here: that file, and telling the process it names from a later one with the same id.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psutil

from vector_platform.local.service_errors import ServiceRecordError

ServiceName = Literal["milvus", "pinecone"]

# How long a process may take from giving up its old program to having the new one's arguments.
EXEC_SECONDS = 5.0


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that cannot be taken for a stranger: its id and its arguments.

    The system gives ids of ended processes away again. Start times would tell them apart too,
    but they move with the clock when a machine sleeps or corrects its time.

    Attributes:
        pid: The process id.
        arguments: Its command line after the program.
    """

    pid: int
    arguments: tuple[str, ...]

    def process(self) -> psutil.Process | None:
        """Return the process, or None when it has ended (a zombie has ended)."""
        try:
            process = psutil.Process(self.pid)
            same = tuple(_command_line(process)[1:]) == self.arguments
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None


def _command_line(process: psutil.Process) -> list[str]:
    """The command line of a process, once it has one.

    A process that is just being started has none for a moment: its parent goes on as soon as the
    old program is gone, and the new one's arguments are laid out after that. On a machine that is
    short of memory or time the moment is long enough to be seen.
    """
    patience = time.monotonic() + EXEC_SECONDS
    while not (found := process.cmdline()):
        if process.status() == psutil.STATUS_ZOMBIE or time.monotonic() > patience:
            break
        time.sleep(0.01)
    return list(found)


@dataclass(frozen=True)
class ServiceRecord:
    """A started server as written to disk.

    Attributes:
        name: Which server.
        uri: Where clients reach it.
        pid: Its process id.
        arguments: Its command line after the program.
        data_dir: Where it keeps its data.
        log: Its output.
    """

    name: ServiceName
    uri: str
    pid: int
    arguments: tuple[str, ...]
    data_dir: str
    log: str

    @property
    def identity(self) -> ProcessIdentity:
        """The process that was started."""
        return ProcessIdentity(self.pid, self.arguments)


def read_record(path: Path) -> ServiceRecord | None:
    """Read a record; None when there is none.

    Raises:
        ServiceRecordError: The file is not a record of this version.
    """
    try:
        values = json.loads(path.read_text())
        return ServiceRecord(**(values | {"arguments": tuple(values["arguments"])}))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceRecordError(
            f"{path} is not the record of an embedded server ({error!r}); end the process it "
            "names, if any, and delete the file"
        ) from error


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
