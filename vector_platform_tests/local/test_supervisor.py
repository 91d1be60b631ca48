"""What a supervisor keeps running is running again after any kill, its own included."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from vector_platform.local import supervisor as supervisor_module
from vector_platform.local.supervisor import AlreadyRunning, Supervisor

# Far longer than a supervisor takes to see what has happened, also on a busy machine.
PATIENCE_SECONDS = 60.0

# Two children, each of which says its name and its process, and stays.
SCRIPT = """
import sys
from pathlib import Path
from vector_platform.local import supervisor as supervisor_module
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


def test_a_process_that_has_lost_its_own_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a web server whose code server was killed: it answers, and starts no run."""
    before = set(psutil.Process().children())
    monkeypatch.setattr(supervisor_module, "BEREFT_SECONDS", 0.5)
    program = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "time.sleep(600)"
    )
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        supervisor.stop()

    supervisor = Supervisor(
        {"one": [sys.executable, "-c", program]}, folder=tmp_path, say=say, parents={"one"}
    )

    watches = []

    class Watch(supervisor_module._Children):
        def __init__(self, pid: int) -> None:
            super().__init__(pid)
            watches.append(self)

    monkeypatch.setattr(supervisor_module, "_Children", Watch)

    def kill_the_child() -> None:
        while not (watches and watches[0]._had_any):
            if ended.wait(0.05):
                return
        (child,) = watches[0]._parent.children()
        child.kill()

    # Whoever does not look ends this test by what was not said, and not by waiting for ever.
    ended = threading.Event()
    patience = threading.Timer(PATIENCE_SECONDS, supervisor.stop)
    killer = threading.Thread(target=kill_the_child)
    patience.start()
    killer.start()
    supervisor.run()
    ended.set()
    killer.join()
    patience.cancel()
    assert said == ["one ended (its own process was killed); it is started again"]
    assert set(psutil.Process().children()) <= before


@pytest.mark.parametrize("fails", ["the program", "the record"])
def test_what_cannot_be_started_for_a_while_is_started_when_it_can(
    tmp_path: Path, fails: str
) -> None:
    """A machine that is out of processes or of disk for a moment must not end the daemon."""
    before = set(psutil.Process().children())
    program, record = tmp_path / "program", tmp_path / "processes.new"
    command = [str(program), "-c", f"open({str(tmp_path / 'started')!r}, 'w')"]
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if not program.exists():
            program.symlink_to(sys.executable)
        if record.is_dir():
            record.rmdir()
        if (tmp_path / "started").exists():
            supervisor.stop()

    if fails == "the program":
        assert not program.exists()
    else:
        program.symlink_to(sys.executable)
        record.mkdir()
    supervisor = Supervisor({"one": command}, folder=tmp_path, say=say)
    supervisor.run()
    assert (tmp_path / "started").exists()
    assert ("No such file" if fails == "the program" else "Is a directory") in said[0]
    assert set(psutil.Process().children()) <= before
