"""Folders of killed processes go, those of living ones stay."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vector_platform.lake.storage.scratch import ScratchFolder

# A join of four times what its memory holds, stopped when part of it is on disk.
JOIN = """
from vector_platform.lake.storage import joins
joins.JOIN_MEMORY = "24MB"
with joins.spilling_duckdb() as db:
    long = "SELECT repeat('x', 90) || range AS s FROM range(400000)"
    db.execute(f"CREATE TEMP TABLE t AS {long}")
    [(folder,)] = db.sql("SELECT current_setting('temp_directory')").fetchall()
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def _own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


@contextmanager
def joining() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process in the middle of a join, and where it spills to."""
    with subprocess.Popen(
        [sys.executable, "-c", JOIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_what_a_process_killed_in_a_join_has_spilled_is_swept_by_the_next() -> None:
    with joining() as (living, in_use), joining() as (killed, left):
        assert [*left.iterdir()], "nothing was spilled"
        killed.kill()
        killed.wait()
        assert left.exists()
        with ScratchFolder("other") as mine, ScratchFolder("other") as second:
            assert not left.exists()
            assert {path for path in mine.parent.iterdir() if path.is_dir()} == {
                in_use,
                mine,
                second,
            }
        assert [*in_use.iterdir()]
        living.communicate("\n")
    assert [path.name for path in in_use.parent.iterdir()] == ["sweep.lock"]


def test_a_name_that_is_somebody_elses_is_not_used(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with ScratchFolder("one") as first:
        taken = first.parent
    for path in taken.iterdir():
        path.unlink()
    taken.rmdir()
    taken.symlink_to(elsewhere)
    with ScratchFolder("two") as folder:
        assert taken not in folder.parents
        assert [*elsewhere.iterdir()] == []
