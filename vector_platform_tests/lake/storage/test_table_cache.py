"""A table that was opened is opened again only when its log says so, and always then."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake import DeltaTable

from vector_platform.lake.contract import RELATIONS
from vector_platform.lake.storage import table_cache as opened
from vector_platform.lake.storage.tables import Table
from vector_platform_tests.lake.storage.test_tables import relation, relations, weights


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(RELATIONS, str(tmp_path), None)


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The versions that are opened, one for each time."""
    asked: list[int | None] = []

    class Counted(DeltaTable):
        def __init__(self, *args: object, version: int | None = None, **options: object) -> None:
            asked.append(version)
            super().__init__(*args, version=version, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(opened, "DeltaTable", Counted)
    return asked


def test_reads_between_two_commits_open_the_table_once(
    table: Table, opens: list[int | None]
) -> None:
    table.append(relations(relation("a")))
    opens.clear()
    for _ in range(3):
        assert weights(table) == {"a": 1.0}
        assert table.version() == 1
        assert table.exists()
    assert opens == [None]


def test_commits_of_others_are_seen_at_once(table: Table) -> None:
    others = Table(RELATIONS, str(Path(table.uri).parent), None)
    for number in range(3):
        version = others.append(relations(relation(f"r{number}")))
        assert table.version() == version
        assert len(weights(table)) == number + 1
        assert weights(table, version) == weights(others)


def test_a_table_made_anew_is_not_taken_for_the_old_one(table: Table) -> None:
    others = Table(RELATIONS, str(Path(table.uri).parent), None)
    version = table.append(relations(relation("old")))
    identity = table.identity()
    assert weights(table, version) == weights(table) == {"old": 1.0}
    shutil.rmtree(table.uri)
    assert not table.exists()
    assert table.identity() == ("", -1)
    assert table.read().num_rows == 0
    assert others.append(relations(relation("new"))) == version
    assert table.identity() != identity
    assert weights(table) == weights(table, version) == {"new": 1.0}


def test_a_log_that_was_tidied_up_is_read_from_its_checkpoint(table: Table) -> None:
    table.append(relations(relation("a")))
    version = table.append(relations(relation("b")))
    assert len(weights(table)) == 2
    DeltaTable(table.uri).create_checkpoint()
    first, middle, _ = sorted(Path(table.uri, "_delta_log").glob("*.json"))
    first.unlink()
    middle.unlink()
    assert table.version() == version
    assert weights(table) == {"a": 1.0, "b": 1.0}
    assert table.append(relations(relation("c"))) == version + 1
    assert len(weights(table)) == 3


def test_a_few_old_versions_are_kept_open_and_no_more(
    table: Table, opens: list[int | None]
) -> None:
    versions = [table.append(relations(relation(f"r{number}"))) for number in range(8)]
    opens.clear()
    for _ in range(2):
        for rows, version in enumerate(versions[:3]):
            assert len(weights(table, version)) == rows + 1
    assert opens == versions[:3]
    for version in versions:
        weights(table, version)
    opens.clear()
    weights(table, versions[0])
    assert opens == [versions[0]]


def test_readers_never_see_an_older_version_than_before(table: Table) -> None:
    table.append(relations(relation("first")))
    over = threading.Event()
    backwards: list[tuple[int, int]] = []

    def read() -> None:
        before = 0
        while not over.is_set():
            rows = table.read(["subject"]).num_rows
            if rows < before:
                backwards.append((before, rows))
            before = rows

    others = Table(RELATIONS, str(Path(table.uri).parent), None)
    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for number in range(12):
                others.append(relations(relation(f"r{number}")))
        finally:
            over.set()
    for reader in readers:
        reader.result()
    assert not backwards
    assert table.read().num_rows == 13
