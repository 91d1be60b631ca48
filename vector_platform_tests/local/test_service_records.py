"""Telling a server's process from a stranger, also in the moments of its start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from vector_platform.local import service_records
from vector_platform.local.service_records import ProcessIdentity

ARGUMENTS = ("-c", "input()")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, *ARGUMENTS], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_process_is_known_by_its_arguments_until_it_ends(
    child: subprocess.Popen[bytes],
) -> None:
    identity = ProcessIdentity(child.pid, ARGUMENTS)
    found = identity.process()
    assert found is not None and found.pid == child.pid
    assert ProcessIdentity(child.pid, ("-c", "another")).process() is None
    assert ProcessIdentity(os.getpid(), ARGUMENTS).process() is None
    child.kill()
    # A zombie, until somebody asks how it ended.
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert identity.process() is None
    child.wait()
    assert identity.process() is None


def test_a_process_that_has_no_arguments_yet_has_not_ended(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = psutil.Process.cmdline, []

    def late(process: psutil.Process) -> list[str]:
        looks.append(process.pid)
        return real(process) if len(looks) > 3 else []

    monkeypatch.setattr(psutil.Process, "cmdline", late)
    assert ProcessIdentity(child.pid, ARGUMENTS).process() is not None
    assert len(looks) == 4


def test_a_process_that_never_has_any_is_a_stranger(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_records, "EXEC_SECONDS", 0.05)
    monkeypatch.setattr(psutil.Process, "cmdline", lambda process: [])
    assert ProcessIdentity(child.pid, ARGUMENTS).process() is None
