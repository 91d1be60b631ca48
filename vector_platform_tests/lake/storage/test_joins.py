from __future__ import annotations

import os
import threading

import duckdb
import pyarrow as pa
import pytest

from vector_platform.lake.storage.joins import spilling_duckdb, stream


def numbers(db: duckdb.DuckDBPyConnection, table: str) -> int:
    [(count,)] = db.sql(f"SELECT count(*) FROM {table}").fetchall()
    return int(count)


@pytest.mark.parametrize("as_written", [False, True])
def test_a_connection_sees_nothing_of_another_one_and_leaves_nothing(as_written: bool) -> None:
    with spilling_duckdb(as_written=as_written) as one:
        one.execute("CREATE TEMP TABLE t AS SELECT unnest(range(9)) AS n")
        one.register("arrow", pa.table({"n": [1, 2]}))
        with spilling_duckdb(as_written=as_written) as other:
            for table in ("t", "arrow"):
                with pytest.raises(duckdb.CatalogException):
                    numbers(other, table)
        assert (numbers(one, "t"), numbers(one, "arrow")) == (9, 2)
    with spilling_duckdb(as_written=as_written) as later:
        assert later.sql("SELECT table_name FROM duckdb_tables()").fetchall() == []


def test_only_joins_as_written_are_left_in_their_order() -> None:
    with spilling_duckdb() as free, spilling_duckdb(as_written=True) as fixed:
        setting = "SELECT current_setting('disabled_optimizers')"
        assert free.sql(setting).fetchall() == [("",)]
        assert set(fixed.sql(setting).fetchall()[0][0].split(",")) == {
            "join_order",
            "build_side_probe_side",
        }


def spill_folder() -> str:
    with spilling_duckdb() as db:
        [(folder,)] = db.sql("SELECT current_setting('temp_directory')").fetchall()
        return str(folder)


def test_a_forked_process_opens_its_own() -> None:
    mine = spill_folder()
    assert spill_folder() == mine
    pid = os.fork()
    if not pid:
        os._exit(7 if spill_folder() != mine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert spill_folder() == mine


def test_a_stream_that_is_given_up_joins_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector may end it while a thread is being started, which holds what a join takes."""

    def join(self: threading.Thread, timeout: float | None = None) -> None:
        raise AssertionError(f"{self.name} is joined")

    with spilling_duckdb() as db:
        batches = stream(db, "SELECT unnest(range(100000)) AS n", batch_rows=1000)
        assert next(batches).num_rows
        monkeypatch.setattr(threading.Thread, "join", join)
        del batches
        monkeypatch.undo()
        assert sum(b.num_rows for b in stream(db, "SELECT unnest(range(9)) AS n")) == 9
