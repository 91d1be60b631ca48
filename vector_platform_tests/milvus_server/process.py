"""A Milvus server in a process of its own, to be stopped, killed and started again.

Belongs here: the process and the wait for its health.
"""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from vector_platform_tests.integration.conftest import free_port
from vector_platform_tests.milvus_server.installation import binaries, installed, python

_START_SECONDS = 120
# Another process may take a port between its choice and its use.
_ATTEMPTS = 3


class MilvusServerProcess:
    """A full Milvus server over a data folder; the port stays the same through restarts.

    Args:
        data: Folder of everything it writes, its log (`server.log`) included.
    """

    def __init__(self, data: Path) -> None:
        installed()
        self._data = data
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when all its parts say they are well."""
        self._data.mkdir(parents=True, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            health = free_port()
            command = [python(), Path(__file__).with_name("launch.py"), self._data, binaries()]
            with (self._data / "server.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [*map(str, command), str(self._port), str(health)],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            if self._is_well(health):
                return
            self.kill()
            if attempt == _ATTEMPTS - 1:
                tail = (self._data / "server.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the Milvus server did not start:\n{tail}")

    def stop(self) -> None:
        """End it as a shutdown of the machine would."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """The process while it runs."""
        assert self._process is not None
        return self._process.pid

    def _is_well(self, port: int) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as page:
                    if b"OK" in page.read():
                        return True
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.1)
        return False
