"""What a supervisor keeps running is running again after any kill, its own included."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from vector_platform.local.supervisor import AlreadyRunning, Supervisor

# Two children, each of which says its name and its process, and stays.
SCRIPT = """
import sys
from pathlib import Path
from vector_platform.local.supervisor import Supervisor

child = (
    "import os, sys, time\\n"
    "os.write(1, f'{sys.argv[1]} {os.getpid()}\\\\n'.encode())\\n"
    "time.sleep(600)"
)
commands = {name: [sys.executable, "-c", child, name] for name in ("left", "right")}
Supervisor(commands, folder=Path(sys.argv[1]), say=lambda told: None).run()
"""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)], stdout=subprocess.PIPE, text=True
    )


def told(supervisor: subprocess.Popen[str]) -> tuple[str, psutil.Process]:
    """The next child that says it is there."""
    assert supervisor.stdout is not None
    name, pid = supervisor.stdout.readline().split()
    return name, psutil.Process(int(pid))


def test_a_killed_process_is_started_again_and_so_is_all_after_a_killed_supervisor(
    tmp_path: Path,
) -> None:
    first = start(tmp_path)
    children = dict(told(first) for _ in range(2))
    assert set(children) == {"left", "right"}
    children["left"].kill()
    name, again = told(first)
    assert name == "left"
    first.kill()
    first.wait()
    assert again.is_running()
    second = start(tmp_path)
    try:
        anew = dict(told(second) for _ in range(2))
        assert set(anew) == {"left", "right"}
        # No second daemon beside one that was left behind.
        _, alive = psutil.wait_procs([again, children["right"]], timeout=0)
        assert alive == []
    finally:
        second.terminate()
        second.wait()
    assert psutil.wait_procs(list(anew.values()), timeout=0)[1] == []


def test_a_second_supervisor_of_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / "processes.lock").acquire(timeout=0),
        pytest.raises(AlreadyRunning, match="stop the other one first"),
    ):
        Supervisor({}, folder=tmp_path, say=print).run()


def test_a_record_that_was_half_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text(json.dumps([[1, ["x"]]])[:5], encoding="utf-8")
    Supervisor({}, folder=tmp_path, say=print).run()
