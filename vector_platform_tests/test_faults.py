"""Faults of the machine end in one line with a way out; a bug still shows where it is."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from vector_platform.corpus.publish import MartsBusy, require_free
from vector_platform.errors import TerminalError, TransientError, VectorPlatformError
from vector_platform.faults import (
    Busy,
    NotPermitted,
    StorageFull,
    Unreachable,
    WrongPlace,
    explained,
)
from vector_platform.orchestration.runs.retries import retry_by_type

HOLD = """
import duckdb, sys
held = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def _full(_: Path) -> None:
    with Path("/dev/full").open("w") as device:
        device.write("x" * 100_000)


def _taken_port(_: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held, socket.socket() as second:
        second.bind(held.getsockname())


def _closed_port(_: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    socket.create_connection(address)


def _below_a_file(root: Path) -> None:
    (root / "file").write_text("x")
    (root / "file" / "lake").mkdir()


def _a_folder(root: Path) -> None:
    root.read_text()


def _locked_sqlite(root: Path) -> None:
    with sqlite3.connect(root / "runs.db", isolation_level=None) as first:
        first.execute("BEGIN EXCLUSIVE")
        sqlite3.connect(root / "runs.db", timeout=0).execute("CREATE TABLE x (y)")


def _not_permitted(_: Path) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/lake/chunks")


@pytest.mark.parametrize(
    ("does", "kind", "says"),
    [
        (_full, StorageFull, "No space left on device; free some space"),
        (_taken_port, Busy, "Address already in use; another process has the port"),
        (_closed_port, Unreachable, "Connection refused; see that the server runs"),
        (_below_a_file, WrongPlace, "lake: Not a directory"),
        (_a_folder, WrongPlace, "Is a directory"),
        (lambda root: (root / "none").read_text(), WrongPlace, "none: No such file"),
        (_locked_sqlite, Busy, "database is locked; a database of Dagster is held"),
        (_not_permitted, NotPermitted, "/lake/chunks: Permission denied; give this user"),
    ],
)
def test_a_fault_of_the_machine_is_one_line_with_a_way_out(
    tmp_path: Path, does: Callable[[Path], None], kind: type[VectorPlatformError], says: str
) -> None:
    with pytest.raises(Exception) as raised:  # whatever the system raises
        does(tmp_path)
    named = explained(raised.value)
    assert type(named) is kind and says in str(named)
    assert "\n" not in str(named)


def test_a_fault_is_found_below_what_a_library_made_of_it() -> None:
    try:
        try:
            _full(Path())
        except OSError as error:
            raise RuntimeError("could not write") from error
    except RuntimeError as error:
        assert isinstance(explained(error), StorageFull)


@pytest.mark.parametrize("bug", [ValueError("x"), KeyError("x"), AssertionError(), TypeError()])
def test_a_bug_is_not_explained_away(bug: Exception) -> None:
    assert explained(bug) is None
    with pytest.raises(type(bug)), retry_by_type():
        raise bug


def test_in_a_run_a_passing_fault_is_tried_again_and_a_lasting_one_is_a_persons() -> None:
    with pytest.raises(dg.RetryRequested), retry_by_type():
        _full(Path())
    with pytest.raises(dg.Failure, match="Permission denied") as raised, retry_by_type():
        _not_permitted(Path())
    assert not raised.value.allow_retries
    assert issubclass(StorageFull, TransientError) and issubclass(NotPermitted, TerminalError)


def test_a_duckdb_that_another_process_has_is_busy_and_free_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    require_free(path)
    duckdb.connect(str(path)).close()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(MartsBusy, match="End the process that has it") as raised:
            require_free(path)
        assert str(path) in str(raised.value) and "\n" not in str(raised.value)
        other.communicate()
    require_free(path)


def test_a_damaged_duckdb_says_that_it_can_be_made_again(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(MartsBusy, match="delete it, dbt builds it anew"):
        require_free(path)
