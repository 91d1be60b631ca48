"""The world of a story: a deployment of its own, the daemon that drives it, and the clock.

Belongs here: the folder, `platform.yaml`, starting and stopping what runs, and writing source
files.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from vector_platform.demo.stream import Ticket
from vector_platform.errors import VectorPlatformError
from vector_platform.local import services
from vector_platform.orchestration.converge import converge
from vector_platform.orchestration.launch import Runs
from vector_platform.orchestration.runs.instance import dagster_home
from vector_platform.settings import CONFIG_VARIABLE, PREFIX, Settings
from vector_platform.wiring import Platform, load_settings

MODEL = "wordllama-256.v1"
SOURCE = "tickets"
# Sensors look so often: a story of days is played in minutes.
SENSOR_SECONDS = 5
# What a stopped daemon may take; its runs have ended by then.
STOP_SECONDS = 30.0
_WORKSPACE = (
    "load_from:\n  - python_module:\n      module_name: vector_platform.definitions\n"
    "      location_name: vector_platform\n"
)


class DaemonDied(VectorPlatformError):
    """The daemon ended before it was told to."""


class World:
    """A deployment that only a story uses.

    Args:
        folder: Where everything is; what a story before has left there is removed.
        settings: What differs from `base_settings`, section by section.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder = folder.resolve()
        if self.folder.exists():
            services.down(self.folder / "data")
            shutil.rmtree(self.folder)
        (self.folder / "inbox").mkdir(parents=True)
        merged = base_settings()
        for section, values in settings.items():
            merged[section] = {**merged.get(section, {}), **values}
        self._config = self.folder / "platform.yaml"
        self._config.write_text(yaml.safe_dump(merged, sort_keys=False), encoding="utf-8")
        (self.folder / "workspace.yaml").write_text(_WORKSPACE, encoding="utf-8")
        self._daemon: subprocess.Popen[bytes] | None = None
        # The instance is found by this, in this process and in the daemon's.
        os.environ.pop("DAGSTER_HOME", None)
        self.settings: Settings = load_settings(self._config, environ={})
        os.environ["DAGSTER_HOME"] = str(dagster_home(self.settings))

    # -- the outside world ------------------------------------------------------------------

    def land(self, name: str, tickets: Iterable[Ticket]) -> None:
        """Let a file of tickets arrive. It is there as a whole or not at all."""
        text = "".join(json.dumps(ticket.row()) + "\n" for ticket in tickets)
        hidden = self.folder / "inbox" / f".{name}"
        hidden.write_text(text, encoding="utf-8")
        hidden.rename(self.folder / "inbox" / f"{name}.jsonl")

    def ask(self, tickets: Iterable[Ticket]) -> None:
        """Write golden queries: the question of each of these tickets, whose answer it is."""
        folder = self.folder / "golden"
        folder.mkdir(exist_ok=True)
        asked = list(tickets)
        queries = (
            {"_id": each.key, "text": each.question, "metadata": {"tenant": each.team}}
            for each in asked
        )
        (folder / "queries.jsonl").write_text(
            "".join(json.dumps(query) + "\n" for query in queries), encoding="utf-8"
        )
        (folder / "qrels.tsv").write_text(
            "query-id\tcorpus-id\tscore\n" + "".join(f"{e.key}\t{e.key}\t1\n" for e in asked),
            encoding="utf-8",
        )

    # -- what runs --------------------------------------------------------------------------

    def start(self) -> Iterable[str]:
        """Start the servers and bring everything up to date once, as `vector-platform run` does.

        Yields:
            What each stage did.
        """
        for endpoint in services.up(self.settings.data_dir, names=("milvus",)):
            yield f"{endpoint.name} is up"
        platform = Platform(self.settings)
        try:
            for stage in converge(Runs(platform), self.settings.start_date):
                yield f"{stage.name}: {stage.summary}"
            yield from self._approve(platform)
        finally:
            platform.close()

    def _approve(self, platform: Platform) -> Iterator[str]:
        """Say yes to the first release, where approvers are named."""
        for approver in self.settings.releases.approvers:
            service = platform.release_service("milvus", run_id="demo")
            for request in service.store.open():
                reconciled = service.approve(
                    request.request_id, actor=approver, reason="first release"
                )
                yield f"{approver}: {reconciled.describe()}"

    def start_daemon(self) -> None:
        """Start the daemon: sensors, schedules and the queue of runs."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        executable = str(Path(sys.executable).parent / "dagster-daemon")
        with (self.folder / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [executable, "run", "--workspace", str(self.folder / "workspace.yaml")],
                cwd=self.folder,
                env=own | {CONFIG_VARIABLE: str(self._config)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check_daemon(self) -> None:
        """Raise when the daemon is gone.

        Raises:
            DaemonDied: With the end of its log.
        """
        if self._daemon is not None and self._daemon.poll() is not None:
            log = (self.folder / "daemon.log").read_text(encoding="utf-8", errors="replace")
            raise DaemonDied("the daemon ended; its log ends with:\n" + log[-2000:])

    def stop(self, *, keep_servers: bool = False) -> None:
        """Stop the daemon and the servers. What they hold stays in the folder."""
        if self._daemon is not None and self._daemon.poll() is None:
            # As Ctrl+C does: the daemon ends its code server before itself.
            os.killpg(self._daemon.pid, signal.SIGINT)
            try:
                self._daemon.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._daemon.pid, signal.SIGKILL)
                self._daemon.wait()
        self._daemon = None
        if not keep_servers:
            services.down(self.settings.data_dir)


def base_settings() -> dict[str, Any]:
    """What all stories have in common: tickets in, one model, one Milvus index."""
    return {
        "data": "data",
        # Tickets are of long ago: they are late by definition, and land on whatever day it is.
        "start_date": (datetime.now(UTC) - timedelta(days=1)).date(),
        "owner": "service-desk",
        "sources": {
            SOURCE: {
                "kind": "files",
                "path": "inbox",
                "format": "jsonl",
                "watch": True,
                "description": "Support tickets, one file a day.",
                "fields": {
                    "key": "key",
                    "tenant": "team",
                    "title": "title",
                    "text": "text",
                    "time": "updated_at",
                },
            }
        },
        "models": {MODEL: {"package": "wordllama", "kind": "static", "max_tokens": 512}},
        "indexes": {"milvus": {"index_type": "HNSW", "partitions": 1}, "pinecone": None},
        "schedules": {"sensor_seconds": SENSOR_SECONDS},
    }
