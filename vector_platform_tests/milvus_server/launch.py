"""Becomes a Milvus server: run by the interpreter of the server's own environment.

Belongs here: the server's configuration.

The server listens on all addresses of the machine, which no setting changes; it announces
loopback, so its own parts and the tests talk through loopback alone.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

from milvus import MilvusServerConfig

_ROOMS = ("rootCoord", "proxy", "queryCoord", "queryNode", "indexNode", "dataCoord", "dataNode")
# A server that starts again waits until the sessions of the one before have run out.
_SESSION_SECONDS = 5


def main() -> None:
    """Arguments: data folder, folder of the binaries, port of the API, port of the health page."""
    data, binaries = (Path(argument).resolve() for argument in sys.argv[1:3])
    port, health = sys.argv[3:]
    names = [key for key in MilvusServerConfig().configurable_items if key.endswith("_port")]
    *others, peers, clients = _free_ports(len(names) + 2)
    config = MilvusServerConfig(data_dir=str(data), **dict(zip(names, others, strict=True)))
    for room in _ROOMS:
        config.set(f"{room}.ip", "127.0.0.1")
    config.set("common.session.ttl", _SESSION_SECONDS)
    config.resolve()
    etcd = data / "configs" / "etcd.json"
    peer, client = f"http://127.0.0.1:{peers}", f"http://127.0.0.1:{clients}"
    etcd.write_text(
        json.dumps(
            {
                "name": "default",
                "data-dir": str(data / "data" / "etcd"),
                "listen-client-urls": client,
                "advertise-client-urls": client,
                "listen-peer-urls": peer,
                "initial-advertise-peer-urls": peer,
                "initial-cluster": f"default={peer}",
            }
        )
    )
    environment = {
        **os.environ,
        "DEPLOY_MODE": "STANDALONE",
        # Not through the configuration, which refuses the port of a server that just ended.
        "PROXY_PORT": port,
        "METRICS_PORT": health,
        "MILVUS_RUN_DIR": str(data / "run"),
        "LD_LIBRARY_PATH": str(binaries),
        "ETCD_CONFIG_PATH": str(etcd),
    }
    os.chdir(data)
    os.execve(binaries / "milvus", ["milvus", "run", "standalone"], environment)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


if __name__ == "__main__":
    main()
