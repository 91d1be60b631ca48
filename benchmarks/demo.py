"""The demo in a fresh data folder, twice: wall time by stage, and peak memory.

Belongs here: the demo benchmark; prints one table. It is the demo that `make demo` runs, with
its data in a temporary folder that is removed at the end, and on free ports. Memory is sampled:
the sum over the demo's own processes, the embedded servers (which outlive it) apart.

    python benchmarks/demo.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from measuring import MIB, PrintedTable, clean_up_when_told_to_stop, note
from synthetic import ROOT

from vector_platform.local import services

SAMPLE_SECONDS = 0.1
# A stage's line: the seconds since the start, and its name.
STAGE = re.compile(r"^\[ *([\d.]+) s\] ([^:]+):")
DEMO = "import sys; from vector_platform.cli import main; sys.argv = ['demo', 'demo']; main()"


@dataclass(frozen=True)
class DemoRun:
    """One run of the demo.

    Attributes:
        stages: Seconds by stage, in order; what comes before and after them as well.
        seconds: Wall time of the command.
        peak_bytes: Largest sum of resident memory over the demo's processes.
        servers_bytes: Largest sum over the embedded servers.
    """

    stages: dict[str, float]
    seconds: float
    peak_bytes: int
    servers_bytes: int


def run_demo(data: Path) -> DemoRun:
    environment = os.environ | {
        "VECTOR_PLATFORM_CONFIG": str(ROOT / "platform.yaml"),
        "VECTOR_PLATFORM_DATA": str(data),
        "HF_HUB_OFFLINE": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", DEMO],
        env=environment,
        cwd=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peaks = {"demo": 0, "servers": 0}
    over = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, data, peaks, over))
    sampler.start()
    said: list[str] = []
    stages: dict[str, float] = {}
    last = began = 0.0
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if found := STAGE.match(line):
            at, name = float(found.group(1)), found.group(2)
            if not stages:
                began = time.perf_counter() - started - at
                stages["start: imports, servers"] = began
            stages[name] = stages.get(name, 0.0) + at - last
            last = at
    status = process.wait()
    seconds = time.perf_counter() - started
    over.set()
    sampler.join()
    if status:
        raise SystemExit(f"the demo ended with status {status}:\n{''.join(said[-20:])}")
    stages["end: search on both backends"] = seconds - began - last
    return DemoRun(stages, seconds, peaks["demo"], peaks["servers"])


def _sample(pid: int, data: Path, peaks: dict[str, int], over: threading.Event) -> None:
    while not over.wait(SAMPLE_SECONDS):
        servers = {status.pid for status in services.status(data) if status.pid}
        for name, tree in (
            ("demo", _tree(pid, without=servers)),
            ("servers", [found for server in servers for found in _tree(server)]),
        ):
            peaks[name] = max(peaks[name], sum(_resident(process) for process in tree))


def _tree(pid: int, *, without: set[int] | None = None) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return []
    return [process for process in family if process.pid not in (without or set())]


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the first run only")
    options = parser.parse_args()
    clean_up_when_told_to_stop()
    runs: list[DemoRun] = []
    with tempfile.TemporaryDirectory(prefix="vector-platform-benchmark-") as name:
        data = Path(name)
        try:
            for number in range(1 if options.quick else 2):
                note(f"run {number + 1}")
                runs.append(run_demo(data))
        finally:
            services.down(data)
    names = list(dict.fromkeys(stage for run in runs for stage in run.stages))
    rows = [
        [stage, *(f"{run.stages[stage]:.1f}" if stage in run.stages else "" for run in runs)]
        for stage in names
    ]
    rows.append(["all, seconds", *(f"{run.seconds:.1f}" for run in runs)])
    rows.append(["peak MiB, demo", *(f"{run.peak_bytes / MIB:,.0f}" for run in runs)])
    rows.append(["peak MiB, servers", *(f"{run.servers_bytes / MIB:,.0f}" for run in runs)])
    table = PrintedTable(
        ["stage", "first run, s", "second run, s"][: 1 + len(runs)], first_width=40
    )
    for row in rows:
        table.add(row)


if __name__ == "__main__":
    main()
