"""A damaged lake says which table it is and what to do, whatever reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from vector_platform.cli import main
from vector_platform.lake.audit import audit_chunks
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.damage import TableDamaged
from vector_platform_tests.lake.building import MODEL, chunk, embed, open_lake, put, rows_of


def _chunks(folder: Path) -> Path:
    return folder / "lake" / "chunks"


def _cut_the_log(folder: Path) -> None:
    newest = max((_chunks(folder) / "_delta_log").glob("*.json"))
    newest.write_text('{"add":{"path')


def _lose_a_file(folder: Path) -> None:
    min(_chunks(folder).glob("*.parquet")).unlink()


def _empty_a_file(folder: Path) -> None:
    min(_chunks(folder).glob("*.parquet")).write_bytes(b"")


def _overwrite_a_file(folder: Path) -> None:
    min(_chunks(folder).glob("*.parquet")).write_bytes(b"\x00garbage" * 100)


DAMAGES = [_cut_the_log, _lose_a_file, _empty_a_file, _overwrite_a_file]
READS: dict[str, Callable[[Lake], object]] = {
    "read": lambda lake: lake.chunks.read(),
    "batches": lambda lake: list(lake.chunks.batches()),
    "rows": lambda lake: lake.chunks.rows(),
    "index_keys": lambda lake: rows_of(lake.index_keys(MODEL, lake.snapshot())),
    "index_rows": lambda lake: rows_of(lake.index_rows(MODEL, lake.snapshot())),
    "missing": lambda lake: list(
        lake.missing_contents(MODEL, chunks_version=lake.chunks.version())
    ),
    "audit": audit_chunks,
    "merge": lambda lake: put(lake, delete=["guides:0#0"]),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_every_read_of_a_damaged_table_names_it(
    tmp_path: Path, damage: Callable[[Path], None], read: str
) -> None:
    lake = open_lake(tmp_path)
    put(lake, *(chunk(f"guides:{n}", f"text {n}") for n in range(5)))
    embed(lake)
    damage(tmp_path)
    with pytest.raises(TableDamaged, match=r"table chunks at .* cannot be read") as raised:
        READS[read](open_lake(tmp_path))
    assert "\n" not in str(raised.value)


def _deployment(root: Path) -> Lake:
    described = {
        "start_date": "2026-01-01",
        "data": "data",
        "models": {"m.v1": {"package": "wordllama", "kind": "static"}},
        "sources": {"notes": {"kind": "files", "path": "*.md"}},
    }
    (root / "platform.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    return Lake(str(root / "data" / "lake"))


def _ends(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, list[str]]:
    monkeypatch.setenv("VECTOR_PLATFORM_CONFIG", str(root / "platform.yaml"))
    monkeypatch.setattr("sys.argv", ["vector-platform", "lake", "status"])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_command_on_a_damaged_lake_ends_in_one_line_and_exit_1(
    tmp_path: Path,
    damage: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(_deployment(tmp_path), chunk("guides:1"))
    damage(tmp_path / "data")
    code, said = _ends(tmp_path, monkeypatch, capsys)
    assert code == 1 and len(said) == 1 and said[0].startswith("error: table chunks at ")


def test_a_lake_that_is_a_file_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _deployment(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lake").write_text("")
    code, said = _ends(tmp_path, monkeypatch, capsys)
    assert code == 1 and len(said) == 1 and "lake is a file" in said[0]


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_bytes(b"\xff\xfe")])
def test_settings_that_cannot_be_read_are_named(
    tmp_path: Path,
    make: Callable[[Path], object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path / "platform.yaml")
    code, said = _ends(tmp_path, monkeypatch, capsys)
    assert code == 1 and said[0].startswith("error: ") and "platform.yaml" in said[0]
    assert "Traceback" not in "".join(said)
