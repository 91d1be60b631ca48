"""Running the application: in a thread for tests, or in the foreground for a process.

Belongs here: sockets, threads and the web server's settings.
"""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import uvicorn

from ..api.imports import fail_unfinished
from ..data.catalog import Catalog
from ..errors import PineconeServerError
from .app import create_app
from .knobs import Knobs
from .torn import TearableProtocol

LOOPBACK = "127.0.0.1"
#: Connections that wait to be accepted; a burst of clients beyond it is refused by the kernel.
_BACKLOG = 512
#: How long a stop waits for requests under way.
_GRACE_SECONDS = 3
_START_SECONDS = 30


class PortInUseError(PineconeServerError):
    """The port to serve on is taken."""


class PineconeServer:
    """A Pinecone-compatible server over one data folder.

    As a context manager it serves from a thread:

        with PineconeServer(folder, api_key="local") as server:
            client = pinecone.Pinecone(api_key="local", host=server.url)

    Args:
        data_dir: Where indexes are kept; a later server on the same folder serves them again.
        port: Port to serve on; 0 takes a free one.
        api_key: The only key accepted; None accepts any key that is not empty.
        host: Address to bind. Loopback unless a container needs otherwise.

    Attributes:
        knobs: Delays, limits and faults; all off unless turned.

    Raises:
        PortInUseError: The port is taken.
        DataFolderInUseError: Another process serves the folder.
    """

    def __init__(
        self,
        data_dir: Path | str,
        port: int = 0,
        api_key: str | None = None,
        *,
        host: str = LOOPBACK,
    ) -> None:
        self.knobs = Knobs()
        try:
            self._socket = socket.create_server((host, port), backlog=_BACKLOG)
        except OSError as error:
            raise PortInUseError(f"cannot serve on {host}:{port}: {error.strerror}") from error
        try:
            self._catalog = Catalog(Path(data_dir), delay=self.knobs.delay)
        except BaseException:
            self._socket.close()
            raise
        for index in self._catalog.indexes():
            fail_unfinished(index.store)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                create_app(self._catalog, self.knobs, api_key=api_key),
                http=TearableProtocol,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                timeout_keep_alive=60,
            )
        )
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where to reach the control plane."""
        return f"http://{self.host}:{self.port}"

    def run(self) -> None:
        """Serve in this thread until a signal or `stop`."""
        self._server.run(sockets=[self._socket])

    def start(self) -> PineconeServer:
        """Serve from a thread; returns when requests are answered."""
        self._thread = threading.Thread(target=self.run, name="pinecone-server", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise PineconeServerError(
                    f"the Pinecone-compatible server on {self.url} did not start"
                )
            self._thread.join(0.005)
        return self

    def stop(self) -> None:
        """Stop serving and close all files."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._catalog.close()
        self._socket.close()

    def __enter__(self) -> PineconeServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
