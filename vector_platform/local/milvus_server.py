"""`python -m vector_platform.local.milvus_server`: Milvus Lite for many clients at once.

Belongs here: running the library's gRPC service on loopback until a signal, and closing its
database on the way out. The library's own command binds every address unless told otherwise,
leaves its database open on SIGTERM, and hangs up on clients that ping as pymilvus does.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 19530
#: How long a stop waits for requests under way.
_GRACE_SECONDS = 3
#: Requests that are handled at once, and the largest message: the library's own.
_THREADS = 10
_MESSAGE_BYTES = 256 * 2**20
# pymilvus pings every ten seconds, with or without a call under way. gRPC's own server takes a ping
# every five minutes, and after a few more hangs up ("too_many_pings") on all the clients of a
# process that share the connection, and on what they are waiting for.
_OPTIONS = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 0),
    ("grpc.http2.max_ping_strikes", 0),
)


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

    import grpc
    from milvus_lite.adapter.grpc.server import MilvusLite, MilvusServicer, milvus_pb2_grpc

    options.data.mkdir(parents=True, exist_ok=True)
    database = MilvusLite(str(options.data))
    server = grpc.server(ThreadPoolExecutor(_THREADS, "milvus"), options=_OPTIONS)
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(MilvusServicer(database), server)
    server.add_insecure_port(f"{LOOPBACK}:{options.port}")
    server.start()
    print(f"serving {options.data} on http://{LOOPBACK}:{options.port}", flush=True)
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
