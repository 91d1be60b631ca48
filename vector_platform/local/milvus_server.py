"""`python -m vector_platform.local.milvus_server`: Milvus Lite for many clients at once.

Belongs here: running the library's gRPC server on loopback until a signal, and closing its
database on the way out. The library's own command binds every address unless told otherwise and
leaves its database open on SIGTERM. Does not belong here: clients (`indexes.milvus`).
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import threading
from pathlib import Path

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 19530
#: How long a stop waits for requests under way.
_GRACE_SECONDS = 3


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        The exit status: 1 when the port is taken.
    """
    parser = argparse.ArgumentParser(prog="python -m vector_platform.local.milvus_server")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the database")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    options = parser.parse_args(arguments)

    # Set before the slow import, so that a stop during start-up is clean as well.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        claim = _claim(options.port)
    except OSError as error:
        print(f"cannot serve on {LOOPBACK}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1

    from milvus_lite.adapter.grpc.server import start_server_in_thread

    options.data.mkdir(parents=True, exist_ok=True)
    server, database, port = start_server_in_thread(
        str(options.data), host=LOOPBACK, port=options.port
    )
    print(f"serving {options.data} on http://{LOOPBACK}:{port}", flush=True)
    try:
        stop.wait()
    finally:
        server.stop(grace=_GRACE_SECONDS).wait()
        database.close()
        claim.close()
    return 0


def _claim(port: int) -> socket.socket:
    """Make sure that no other server has the port, and that none like this one takes it too.

    gRPC binds with SO_REUSEPORT: a second server on the port starts without an error and gets
    half of the requests. Binding without that option fails when anybody listens. Two of these
    servers that start at the same instant are told apart by the UDP port of the same number,
    which the kernel gives to one process and takes back when it dies.

    Raises:
        OSError: The port is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    claim.bind((LOOPBACK, port))
    return claim


if __name__ == "__main__":
    sys.exit(main())
