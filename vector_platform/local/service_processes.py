"""The processes of the embedded servers: command lines, ports, health, and ending them.

Belongs here: what differs between the two servers, and plain process handling.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from vector_platform.local import milvus_server
from vector_platform.local.service_errors import ServiceStartError
from vector_platform.local.service_records import ProcessIdentity, ServiceName

LOOPBACK = "127.0.0.1"
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_HEALTH_SECONDS = 2.0
#: After SIGTERM both servers finish requests for 3 s; what takes longer is stuck.
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Program:
    """How one of the servers is run.

    Attributes:
        module: What `python -m` runs.
        default_port: The port it prefers.
        environment: Variables it is given.
    """

    module: str
    default_port: int
    environment: dict[str, str] = field(default_factory=dict)


PROGRAMS: dict[ServiceName, Program] = {
    "milvus": Program("vector_platform.local.milvus_server", milvus_server.DEFAULT_PORT),
    # One matrix-vector product is bound by memory, and BLAS threads that wait for each other on
    # a busy machine make it 20 times slower (measured on 2 cores with a load of 10).
    "pinecone": Program(
        "vector_platform.local.pinecone_server", 5080, {"OPENBLAS_NUM_THREADS": "1"}
    ),
}


def spawn(
    name: ServiceName, *, data_dir: Path, port: int, log: Path, environment: dict[str, str]
) -> ProcessIdentity:
    """Start a server detached from this process: own session, output to a log."""
    arguments = ("-m", PROGRAMS[name].module, "--data", str(data_dir), "--port", str(port))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            # Makes this very package importable, however this process found it.
            cwd=_PACKAGE_ROOT,
            env=os.environ | PROGRAMS[name].environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # The server outlives this process on purpose; `subprocess` would warn about that.
    process.returncode = 0
    return ProcessIdentity(process.pid, arguments)


def free_port(preferred: int, *, patience_seconds: float = 0.0) -> int:
    """Return the preferred port when nobody listens on it, else a free one.

    Args:
        preferred: The port to have if possible; 0 for any.
        patience_seconds: How long to wait for it. A killed process is seen as ended before the
            last of its threads lets go of its sockets, some 30 ms later.
    """
    deadline = time.monotonic() + patience_seconds
    while (port := _bindable(preferred)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    # A free TCP port whose UDP port is taken is no reason to give up.
    port = port or next(filter(None, (_bindable(0) for _ in range(10))), None)
    if port is None:
        raise ServiceStartError(f"no free port on {LOOPBACK}")
    return port


def _bindable(port: int) -> int | None:
    """Bind a port for a moment; returns its number, or None when it is taken.

    A Milvus server has the UDP port from its start, and the TCP port from when it can serve.
    """
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as claim,
    ):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            found = int(probe.getsockname()[1])
            claim.bind((LOOPBACK, found))
        except OSError:
            return None
        return found


def is_healthy(name: ServiceName, uri: str, pid: int) -> bool:
    """Ask a server something; True when it, and not a stranger on its port, answers."""
    if name == "milvus":
        return _listens(pid, uri) and _milvus_answers(uri)
    return _pinecone_answers(uri, pid)


def _listens(pid: int, uri: str) -> bool:
    port = urlsplit(uri).port
    try:
        sockets = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets)


def _milvus_answers(uri: str) -> bool:
    import grpc

    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(uri.removeprefix("http://"), options) as channel:
        get_version = channel.unary_unary("/milvus.proto.milvus.MilvusService/GetVersion")
        try:
            return b"milvus" in get_version(b"", timeout=_HEALTH_SECONDS)
        except grpc.RpcError:
            return False


def _pinecone_answers(uri: str, pid: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{uri}/_local/health", timeout=_HEALTH_SECONDS) as response:
            return bool(json.load(response)["pid"] == pid)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def terminate(identity: ProcessIdentity) -> None:
    """End a process: SIGTERM, then SIGKILL for one that does not go. Ended ones are ignored."""
    process = identity.process()
    if process is None:
        return
    # It may end by itself at any moment, also just before the harder signal.
    with contextlib.suppress(psutil.NoSuchProcess):
        try:
            process.terminate()
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)
