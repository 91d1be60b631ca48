from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from vector_platform.errors import ContractError
from vector_platform.lake.contract import RELATIONS, TIMESTAMP, TableSpec
from vector_platform.lake.storage.commits import CommitConflict
from vector_platform.lake.storage.table_reader import HistoryUnavailable
from vector_platform.lake.storage.tables import Table
from vector_platform_tests.lake.building import chunk, chunks, open_lake, put, rows_of


def relation(subject: str, weight: float = 1.0) -> dict[str, object]:
    return {
        "subject": subject,
        "predicate": "mentions",
        "object": "x",
        "weight": weight,
        "source": "s",
    }


def relations(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=RELATIONS.schema)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return open_lake(tmp_path).relations


def weights(table: Table, version: int | None = None) -> dict[str, float]:
    rows = table.read(["subject", "weight"], version=version).to_pylist()
    found = {row["subject"]: row["weight"] for row in rows}
    assert len(found) == len(rows), "a key is there twice"
    return found


def test_a_table_that_was_never_written_reads_as_empty(table: Table) -> None:
    assert not table.exists()
    assert table.version() == -1
    assert table.identity() == ("", -1)
    assert table.read().num_rows == 0
    assert list(table.batches()) == []
    assert table.read(version=-1).num_rows == 0
    assert table.history() == []
    assert table.optimize() == {}
    assert table.vacuum([]) == []


def test_the_version_before_the_first_stays_empty_after_the_table_is_made(table: Table) -> None:
    table.append(relations(relation("a")))
    assert table.read(version=-1).num_rows == 0


def test_append_adds_in_one_commit_and_nothing_is_no_commit(table: Table) -> None:
    first = table.append(relations(relation("a"), relation("b")), {"run_id": "r1"})
    assert table.append(relations()) == first == table.version()
    assert table.history(1)[0]["run_id"] == "r1"
    assert weights(table) == {"a": 1.0, "b": 1.0}


def test_replace_swaps_only_the_matching_rows_in_one_commit(table: Table) -> None:
    before = table.append(relations(relation("a"), relation("b")))
    after = table.replace(relations(relation("a", 5.0)), where="subject = 'a'")
    assert after == before + 1
    assert weights(table) == {"a": 5.0, "b": 1.0}
    assert weights(table, before) == {"a": 1.0, "b": 1.0}


def test_replace_without_a_condition_swaps_everything(table: Table) -> None:
    table.append(relations(relation("a"), relation("b")))
    table.replace(relations(relation("c")))
    assert weights(table) == {"c": 1.0}


def test_merge_inserts_updates_and_deletes_in_one_commit(table: Table) -> None:
    before = table.merge(relations(relation("stay"), relation("change"), relation("go")))
    after = table.merge(
        relations(relation("change", 2.0), relation("come", 3.0)),
        deletes=[("go", "mentions", "x"), ("never there", "mentions", "x")],
    )
    assert after == before + 1
    assert weights(table) == {"stay": 1.0, "change": 2.0, "come": 3.0}


def test_merge_of_nothing_commits_nothing(table: Table) -> None:
    version = table.merge(relations(relation("a")))
    assert table.merge() == version
    assert table.merge(relations(), deletes=[]) == version == table.version()


def test_merge_takes_deletes_alone(table: Table) -> None:
    table.merge(relations(relation("a"), relation("b")))
    table.merge(deletes=[("a", "mentions", "x")])
    assert weights(table) == {"b": 1.0}


def test_conform_orders_columns_and_names_every_problem(table: Table) -> None:
    shuffled = relations(relation("a")).select(
        ["weight", "source", "object", "predicate", "subject"]
    )
    assert table.conform(shuffled).schema.names == RELATIONS.schema.names
    broken = pa.table(
        {
            "subject": pa.array(["a", None]),
            "predicate": pa.array(["p", "p"]),
            "weight": pa.array(["heavy", "1.0"]),
            "source": pa.array(["s", "s"]),
        }
    )
    with pytest.raises(ContractError) as caught:
        table.append(broken)
    listed = "\n".join(caught.value.violations)
    assert "relations.object: column is missing" in listed
    assert "relations.subject: 1 null(s)" in listed
    assert "relations.weight" in listed and "heavy" in listed
    assert len(caught.value.violations) == 3
    assert not table.exists()


def test_changes_tell_what_each_commit_did(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    first = put(lake, chunk("s:a", "one"), chunk("s:b", "two"))
    last = put(lake, chunk("s:a", "changed"), chunk("s:c", "three"), delete=["s:b#0"])
    seen = sorted(
        (row["_change_type"], row["chunk_id"])
        for row in lake.chunks.changes(first, last, ["chunk_id"]).to_pylist()
    )
    assert seen == [
        ("delete", "s:b#0"),
        ("insert", "s:c#0"),
        ("update_postimage", "s:a#0"),
        ("update_preimage", "s:a#0"),
    ]


def test_changes_of_versions_that_do_not_exist_are_unavailable(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    version = put(lake, chunk("s:a"))
    with pytest.raises(HistoryUnavailable):
        lake.chunks.changes(version, version + 5)


def test_a_scan_during_writes_sees_exactly_one_version(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    texts = [f"round {i}" for i in range(6)]
    put(lake, *(chunk(f"s:{i}", texts[0]) for i in range(50)))
    scan = lake.chunks.batches(["text"], batch_rows=7)
    seen = {row["text"] for row in next(scan).to_pylist()}
    for text in texts[1:]:
        lake.chunks.replace(chunks(chunk(f"s:{i}", text) for i in range(50)))
    rest = rows_of(scan)
    assert seen | {row["text"] for row in rest} == {texts[0]}
    assert {row["text"] for row in rows_of(lake.chunks.batches(["text"]))} == {texts[-1]}


def test_writers_at_once_both_land_or_one_is_told(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    put(lake, chunk("s:first"))
    told: list[str] = []
    gate = threading.Barrier(4)

    def write(name: str) -> None:
        gate.wait()
        try:
            put(lake, chunk(name))
        except CommitConflict:
            told.append(name)

    names = [f"s:{i}" for i in range(4)]
    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    landed = {row["doc_id"] for row in lake.chunks.read(["doc_id"]).to_pylist()}
    assert landed == {"s:first", *names} - set(told)
    assert len(told) < 4


def test_of_two_machines_that_find_the_same_rows_missing_one_writes_them(tmp_path: Path) -> None:
    table = open_lake(tmp_path).relations
    here, there = (open_lake(tmp_path).relations.appender("vectors of m") for _ in range(2))
    other = table.appender("vectors of another")
    here(relations(relation("a")))
    with pytest.raises(CommitConflict, match="run it again"):
        there(relations(relation("a", 2.0)))
    # Whoever writes something else is in nobody's way, however often.
    for number in range(20):
        other(relations(relation(f"o{number}")))
    here(relations(relation("b")))
    here(relations())
    here(relations(relation("c")))
    table.appender("vectors of m")(relations(relation("d")))
    with pytest.raises(CommitConflict):
        here(relations(relation("e")))
    assert {name: weights(table)[name] for name in "abcd"} == dict.fromkeys("abcd", 1.0)


def test_a_table_gains_the_columns_that_the_contract_has_gained(tmp_path: Path) -> None:
    old = TableSpec("t", pa.schema([pa.field("id", pa.string(), nullable=False)]), ("id",))
    new = replace(old, schema=old.schema.append(pa.field("when", TIMESTAMP)))
    Table(old, str(tmp_path), None).append(pa.table({"id": ["a"]}))
    table = Table(new, str(tmp_path), None)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    table.merge(pa.Table.from_pylist([{"id": "b", "when": now}], schema=new.schema))
    rows = sorted(table.read().to_pylist(), key=lambda row: row["id"])
    assert rows == [{"id": "a", "when": None}, {"id": "b", "when": now}]
