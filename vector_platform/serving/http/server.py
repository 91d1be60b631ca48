"""Running the service: in the foreground for a process, or in a thread for tests.

Belongs here: the socket, the web server's settings, and where it may listen.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, Self

import uvicorn
from fastapi import FastAPI

from vector_platform.errors import RefusedByPolicy, TerminalError

LOOPBACK: Final = "127.0.0.1"
PORT: Final = 8300
# How long a stop waits for requests under way.
GRACE_SECONDS: Final = 10
# Longer than pools of clients keep a connection, so that none of them meets a closed one.
KEEP_ALIVE_SECONDS: Final = 75
_START_SECONDS: Final = 30


class NotLoopback(RefusedByPolicy):
    """A service that speaks no TLS is asked to listen to other machines."""


class PortTaken(TerminalError):
    """The port to serve on is taken."""


class SearchServer:
    """The service on a socket of this machine. As a context manager it serves from a thread.

    Args:
        app: The application.
        host: Address to bind.
        port: Port; 0 takes a free one.

    Raises:
        NotLoopback: The address can be reached from elsewhere.
        PortTaken: The port is in use.
    """

    def __init__(self, app: FastAPI, *, host: str = LOOPBACK, port: int = PORT) -> None:
        require_loopback(host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=512)
        except OSError as error:
            raise PortTaken(
                f"cannot serve on {host}:{port}: {error.strerror}; choose another with --port"
            ) from error
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._server = _Server(
            uvicorn.Config(
                app,
                log_level="warning",
                ws="none",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        self._thread: threading.Thread | None = None

    def run(self, answering: Callable[[], None] = lambda: None) -> None:
        """Serve in this thread until a signal; requests under way are answered first.

        Args:
            answering: Called when requests are answered.
        """
        self._server.answering = answering
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.run, name="search-server", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise TerminalError(f"the service on {self.url} did not start")
            self._thread.join(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()


class _Server(uvicorn.Server):
    """Says when it answers."""

    answering: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering()


def require_loopback(host: str) -> None:
    """See that only this machine can reach an address.

    Raises:
        NotLoopback: Others can.
    """
    try:
        here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = False
    if not here:
        raise NotLoopback(
            f"the service speaks no TLS, so it listens on loopback only, not on {host!r}: without "
            "keys whoever reached it could name any tenant, and with them keys would be read on "
            "the way. Put what ends TLS before it, on this machine"
        )
