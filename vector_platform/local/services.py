"""Embedded servers as background processes: up, down, status, and where to reach them.

Belongs here: the verbs behind `vector-platform services`.

State lives under `{data_dir}/services/`: a record and a log for each server, the generated API
key, and a lock that makes two simultaneous `up` start one server each. Data lives beside it, in
`{data_dir}/milvus` and `{data_dir}/pinecone`. Everything listens on loopback only.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from filelock import FileLock, Timeout
from pydantic import SecretStr

from vector_platform.local import service_processes
from vector_platform.local.service_errors import (
    ServiceDiedError,
    ServiceNotRunningError,
    ServiceStartError,
)
from vector_platform.local.service_records import (
    ServiceName,
    ServiceRecord,
    log_tail,
    read_record,
    write_record,
)

ServiceState = Literal["running", "unresponsive", "died", "stopped"]

SERVICE_NAMES: tuple[ServiceName, ...] = ("milvus", "pinecone")
_START_COMMAND = "vector-platform services up"
#: A port can be taken between choosing it and binding it; three tries are plenty.
_START_ATTEMPTS = 3
_POLL_SECONDS = 0.05
#: What an ended server may take to let go of its port; a start waits no longer for a stranger.
_PORT_PATIENCE_SECONDS = 0.5
#: A busy machine answers late; replacing a sound server would take it from its clients.
_ASK_BEFORE_REPLACING = 5


@dataclass(frozen=True)
class Endpoint:
    """A running embedded server.

    Attributes:
        name: Which server.
        uri: Where clients reach it, such as `http://127.0.0.1:19530`.
        pid: Its process.
        data_dir: Where it keeps its data.
        log: Its output.
        api_key: What clients identify themselves with; None where the server asks for nothing.
    """

    name: ServiceName
    uri: str
    pid: int
    data_dir: Path
    log: Path
    api_key: SecretStr | None


@dataclass(frozen=True)
class ServiceStatus:
    """What is known of one embedded server.

    Attributes:
        name: Which server.
        state: `running` answers; `unresponsive` has a process that does not answer; `died` was
            started and has no process; `stopped` was not started, or was stopped.
        uri: Where clients reach it; None when stopped.
        pid: Its process, or what it was; None when stopped.
        uptime_seconds: Age of the process while there is one.
        log_tail: The last lines of the log when it is not as it should be.
    """

    name: ServiceName
    state: ServiceState
    uri: str | None = None
    pid: int | None = None
    uptime_seconds: float | None = None
    log_tail: tuple[str, ...] = ()


def up(
    data_dir: Path,
    *,
    names: Sequence[ServiceName] = SERVICE_NAMES,
    timeout_seconds: float = 60,
) -> list[Endpoint]:
    """Start the servers that are not running; those that answer are returned as they are.

    A server that died or does not answer is replaced. The default port is taken when it is
    free, else any free one.

    Args:
        data_dir: The platform's data folder.
        names: Which servers.
        timeout_seconds: How long all of them together may take to answer.

    Returns:
        One endpoint a name, in the order of `names`.

    Raises:
        ServiceStartError: A server ended at once or did not answer in time; it is not left
            running, and the tail of its log is in the message.
    """
    data_dir = data_dir.resolve()
    deadline = time.monotonic() + timeout_seconds
    folder = _folder(data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=timeout_seconds):
            records = {name: _started(data_dir, name) for name in names}
            for name in names:
                records[name] = _answering(data_dir, records[name], deadline)
    except Timeout as error:
        raise ServiceStartError(
            f"another command has held {folder / 'lock'} for {timeout_seconds:.0f} s"
        ) from error
    return [_endpoint(data_dir, records[name]) for name in names]


def down(data_dir: Path, *, names: Sequence[ServiceName] = SERVICE_NAMES) -> list[str]:
    """Stop servers cleanly; returns the names of those that had been started."""
    data_dir = data_dir.resolve()
    if not _folder(data_dir).exists():
        return []
    stopped: list[str] = []
    with FileLock(_folder(data_dir) / "lock"):
        for name in names:
            path = _record_path(data_dir, name)
            if (record := read_record(path)) is not None:
                service_processes.terminate(record.identity)
                path.unlink()
                stopped.append(name)
    return stopped


def status(data_dir: Path) -> list[ServiceStatus]:
    """Report every embedded server."""
    return [_status(data_dir.resolve(), name) for name in SERVICE_NAMES]


def is_running(data_dir: Path, name: str) -> bool:
    """Whether the embedded server of a backend answers."""
    return any(one.name == name and one.state == "running" for one in status(data_dir))


def up_for(data_dir: Path, backends: Iterable[str]) -> list[Endpoint]:
    """Start the embedded servers of these backends that are not running; stop none.

    Returns:
        Those that were started now.
    """
    wanted = set(backends)
    resting = [
        one.name for one in status(data_dir) if one.name in wanted and one.state != "running"
    ]
    return up(data_dir, names=resting) if resting else []


def endpoint(data_dir: Path, name: str) -> Endpoint:
    """Return where a running server is reached.

    Raises:
        ServiceNotRunningError: It was not started, or there is none of this name.
        ServiceDiedError: It was started and its process is gone.
    """
    data_dir = data_dir.resolve()
    known = next((each for each in SERVICE_NAMES if each == name), None)
    if known is None:
        raise ServiceNotRunningError(
            f"there is no embedded {name} server, only of {', '.join(SERVICE_NAMES)}"
        )
    record = read_record(_record_path(data_dir, known))
    if record is None:
        raise ServiceNotRunningError(
            f"the embedded {name} server is not running for {data_dir}; start it with "
            f"`{_START_COMMAND}`"
        )
    if record.identity.process() is None:
        raise ServiceDiedError(_with_log(f"the embedded {name} server died", record))
    return _endpoint(data_dir, record)


def pinecone_api_key(data_dir: Path) -> str:
    """Return the API key of the embedded Pinecone server, generated at the first call.

    It is kept in a file that only this user can read, and given to the server in its
    environment.
    """
    path = _folder(data_dir.resolve()) / "pinecone_api_key"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key.")
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            # A link fails when a simultaneous call was first; its key is the one then.
            path.hardlink_to(temporary)
        except FileExistsError:
            pass
        finally:
            Path(temporary).unlink()
    return path.read_text()


def _folder(data_dir: Path) -> Path:
    return data_dir / "services"


def _record_path(data_dir: Path, name: ServiceName) -> Path:
    return _folder(data_dir) / f"{name}.json"


def _endpoint(data_dir: Path, record: ServiceRecord) -> Endpoint:
    key = SecretStr(pinecone_api_key(data_dir)) if record.name == "pinecone" else None
    own_data, log = Path(record.data_dir), Path(record.log)
    return Endpoint(record.name, record.uri, record.pid, own_data, log, key)


def _with_log(what: str, record: ServiceRecord) -> str:
    tail = "".join(f"\n  | {line}" for line in log_tail(Path(record.log)))
    return f"{what}; start it with `{_START_COMMAND}`. Its log {record.log} ends with:{tail}"


def _started(data_dir: Path, name: ServiceName) -> ServiceRecord:
    """Return the record of a server that answers, or of one just started."""
    record = read_record(_record_path(data_dir, name))
    if record is not None and record.identity.process() is not None:
        asked = range(_ASK_BEFORE_REPLACING)
        if any(service_processes.is_healthy(name, record.uri, record.pid) for _ in asked):
            return record
        service_processes.terminate(record.identity)
    return _start(data_dir, name, _preferred_port(name, record))


def _preferred_port(name: ServiceName, record: ServiceRecord | None) -> int:
    """Return where clients knew a server that died, so that they find it again."""
    known = urlsplit(record.uri).port if record else None
    return known or service_processes.PROGRAMS[name].default_port


def _start(data_dir: Path, name: ServiceName, preferred_port: int) -> ServiceRecord:
    port = service_processes.free_port(preferred_port, patience_seconds=_PORT_PATIENCE_SECONDS)
    own_data, log = data_dir / name, _folder(data_dir) / f"{name}.log"
    key = {"PINECONE_API_KEY": pinecone_api_key(data_dir)} if name == "pinecone" else {}
    identity = service_processes.spawn(name, data_dir=own_data, port=port, log=log, environment=key)
    uri = f"http://{service_processes.LOOPBACK}:{port}"
    record = ServiceRecord(name, uri, identity.pid, identity.arguments, str(own_data), str(log))
    write_record(_record_path(data_dir, name), record)
    return record


def _answering(data_dir: Path, record: ServiceRecord, deadline: float) -> ServiceRecord:
    """Wait until a started server answers, starting it again when it lost a race for its port."""
    attempts = 1
    while not service_processes.is_healthy(record.name, record.uri, record.pid):
        if record.identity.process() is None:
            port = urlsplit(record.uri).port
            lost_port = port is not None and service_processes.free_port(port) != port
            if not lost_port or attempts == _START_ATTEMPTS:
                _record_path(data_dir, record.name).unlink()
                raise ServiceStartError(_with_log(f"the {record.name} server ended", record))
            attempts += 1
            record = _start(data_dir, record.name, 0)
        if time.monotonic() > deadline:
            service_processes.terminate(record.identity)
            _record_path(data_dir, record.name).unlink()
            raise ServiceStartError(
                _with_log(f"the {record.name} server did not answer in time", record)
            )
        time.sleep(_POLL_SECONDS)
    return record


def _status(data_dir: Path, name: ServiceName) -> ServiceStatus:
    record = read_record(_record_path(data_dir, name))
    if record is None:
        return ServiceStatus(name, "stopped")
    tail = tuple(log_tail(Path(record.log)))
    process = record.identity.process()
    if process is None:
        return ServiceStatus(name, "died", record.uri, record.pid, log_tail=tail)
    uptime = max(0.0, time.time() - process.create_time())
    if service_processes.is_healthy(name, record.uri, record.pid):
        return ServiceStatus(name, "running", record.uri, record.pid, uptime)
    return ServiceStatus(name, "unresponsive", record.uri, record.pid, uptime, tail)
