"""Files made to fill memory or time: refused by a named limit, while the rest lands."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import sqlite3
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vector_platform.settings import FieldMapping, ReadLimits, Settings, SqlSource
from vector_platform.settings.sources import FilesSource
from vector_platform.sources.base import DayWindow, Reject, SourceRow
from vector_platform.sources.files.conversion import ConversionFailed, Converter
from vector_platform.sources.golden import read_golden_queries
from vector_platform.sources.landing.rows import check_row
from vector_platform.sources.limits import OverLimit
from vector_platform.sources.registry import open_source
from vector_platform.wiring import load_settings
from vector_platform_tests.growth import BOUND, growth
from vector_platform_tests.sources.paper import docx_bytes, pdf_bytes
from vector_platform_tests.tiers import sampled

WINDOW = DayWindow(date(2026, 11, 1))
MIB = 1024 * 1024
PDF = "application/pdf"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def read(root: Path, path: str = "*", **limits: int) -> tuple[list[SourceRow], list[Reject]]:
    spec = FilesSource.model_validate({"kind": "files", "path": path, "limits": limits})
    found = list(open_source("notes", spec, root).read(WINDOW))
    return (
        [item for item in found if isinstance(item, SourceRow)],
        [item for item in found if isinstance(item, Reject)],
    )


def parquet_bytes(rows: int, text: str) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": pa.array([text] * rows)}), out)
    return out.getvalue()


def word_bomb(mib: int) -> bytes:
    out = io.BytesIO(docx_bytes("Head", "text"))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/media/x.bin", bytes(mib * MIB))
    return out.getvalue()


def pdf_of(drawn: bytes) -> bytes:
    """A page whose packed content is `drawn`."""
    packed = zlib.compress(drawn)
    page = pdf_bytes("x")
    start, end = page.index(b"<< /Length"), page.index(b"endstream")
    head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
    # Offsets are wrong behind it; the reader searches the objects itself then.
    return page[:start] + head + packed + b"\n" + page[end:]


NOISE = random.Random(0).randbytes(MIB).hex("\n", 512).encode()
LONG = b"word " * 1000
# Few rows that are long, so that the rows themselves cost nothing.
ROW = b"1" * 1024 + b"\n"
OBJECT = b'{"a": "' + b"1" * 1024 + b'"}\n'
BOMBS: dict[str, tuple[str, Callable[[], bytes], dict[str, int], str]] = {
    "stored": ("a.csv", lambda: b"id\n" + ROW * 2048, {"file_mib": 1}, "file_mib"),
    "stored-and-packed": ("a.csv.xz", lambda: lzma.compress(NOISE), {"file_mib": 1}, "file_mib"),
    "gz": ("a.jsonl.gz", lambda: gzip.compress(OBJECT * 20 * 1024), {}, "unpacked_ratio"),
    "bz2": ("a.csv.bz2", lambda: bz2.compress(b"id\n" + ROW * 20 * 1024), {}, "unpacked_ratio"),
    "xz": ("a.csv.xz", lambda: lzma.compress(b"id\n" + ROW * 20 * 1024), {}, "unpacked_ratio"),
    "unpacked": (
        "a.csv.gz",
        lambda: gzip.compress(b"id\n" + NOISE),
        {"unpacked_mib": 1},
        "unpacked_mib",
    ),
    "text": ("a.txt", lambda: LONG, {"document_characters": 1000}, "document_characters"),
    "markdown": ("a.md", lambda: LONG, {"document_characters": 1000}, "document_characters"),
    "html": ("a.html", lambda: LONG, {"document_characters": 1000}, "document_characters"),
    "word": (
        "a.docx",
        lambda: docx_bytes("a", LONG.decode()),
        {"document_characters": 1000},
        "document_",
    ),
    "line": (
        "a.jsonl",
        lambda: b"[" + LONG + b"]",
        {"document_characters": 1000},
        "document_characters",
    ),
    "cell": (
        "a.csv",
        lambda: b'id\n"' + LONG,
        {"document_characters": 1000},
        "document_characters",
    ),
    "lines": (
        "a.csv",
        lambda: b'id\n"' + b"x\n" * 5000,
        {"document_characters": 1000},
        "document_",
    ),
    "parquet": (
        "a.parquet",
        lambda: parquet_bytes(200, "x" * 10_000),
        {"unpacked_mib": 1},
        "unpacked_mib",
    ),
    "word-bomb": ("a.docx", lambda: word_bomb(32), {}, "unpacked_ratio"),
    "pdf-time": (
        "a.pdf",
        lambda: pdf_of(b"BT (a) Tj ET " * 10**6),
        {"conversion_seconds": 1},
        "conversion_",
    ),
    "pdf-memory": (
        "a.pdf",
        lambda: pdf_of(b" " * 150 * MIB),
        {"conversion_mib": 64},
        "conversion_mib",
    ),
}


SLOW_BOMBS = {"stored-and-packed", "bz2", "xz", "pdf-memory", "word"}


@pytest.mark.parametrize("bomb", sampled(BOMBS, fast=BOMBS.keys() - SLOW_BOMBS))
def test_what_is_over_a_limit_is_a_reject_that_names_it_and_the_rest_lands(
    bomb: str, tmp_path: Path
) -> None:
    name, content, limits, setting = BOMBS[bomb]
    (tmp_path / name).write_bytes(content())
    (tmp_path / "z.md").write_text("fine")
    rows, rejects = read(tmp_path, **limits)
    assert [row.values["path"] for row in rows if "path" in row.values] == ["z.md"]
    assert len(rejects) == 1 and rejects[0].uri == name
    assert rejects[0].reason.startswith("over a limit: ")
    assert f"(limits.{setting}" in rejects[0].reason and "raise the limit" in rejects[0].reason


def test_only_the_line_that_is_too_long_is_lost(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id": 1}\n{"id": "' + LONG + b'"}\n{"id": 3}\n')
    rows, rejects = read(tmp_path, document_characters=1000)
    assert [row.values["id"] for row in rows] == [1, 3]
    assert [reject.place for reject in rejects] == ["a.jsonl:2"]


def test_a_text_of_a_database_or_class_is_held_to_the_same_limit() -> None:
    row = SourceRow({"id": "1", "text": "x" * 1001}, "p", "u")
    fields = FieldMapping(key="id", text="text")
    limits = ReadLimits(document_characters=1000)
    (problem,) = check_row(row, source="s", fields=fields, limits=limits).problems
    assert problem.startswith("over a limit: column 'text'")


@pytest.mark.deep
@pytest.mark.parametrize("name", ["a.txt.gz", "a.jsonl.gz", "a.csv.gz"])
def test_a_packed_text_of_200_mb_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    with gzip.open(tmp_path / name, "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write(bytes(MIB))
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from vector_platform_tests.sources.test_limits import read\n"
        "held = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = held(); rows, rejects = read(Path(sys.argv[1]), unpacked_ratio=10_000)\n"
        "assert not rows and len(rejects) == 1, (rows, rejects)\n"
        "print((held() - before) // (1024 * 1024 if sys.platform == 'darwin' else 1024))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 350, "MB of memory"


# -- the process that converts --------------------------------------------------------------------


def test_one_process_converts_many_files_and_another_follows_a_kill(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pdf", tmp_path / "bad.pdf"
    good.write_bytes(pdf_bytes("Hello"))
    bad.write_bytes(pdf_of(b"BT (a) Tj ET " * 10**6))
    with Converter(ReadLimits(conversion_seconds=1)) as converter:
        for _ in range(3):
            assert converter.convert(good, suffix=".pdf", mime=PDF).strip() == "Hello"
        assert converter.starts == 1
        with pytest.raises(OverLimit, match="1 seconds"):
            converter.convert(bad, suffix=".pdf", mime=PDF)
        assert converter.convert(good, suffix=".pdf", mime=PDF).strip() == "Hello"
        assert converter.starts == 2


def test_a_file_that_cannot_be_converted_has_the_reason_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4\nnot really")
    (tmp_path / "b.docx").write_bytes(b"PK\x03\x04 broken")
    with Converter(ReadLimits()) as converter:
        with pytest.raises(ConversionFailed, match="No /Root object"):
            converter.convert(tmp_path / "a.pdf", suffix=".pdf", mime=PDF)
        with pytest.raises(ConversionFailed, match="not a zip file"):
            converter.convert(tmp_path / "b.docx", suffix=".docx", mime=WORD)
        assert converter.starts == 1


# -- time ---------------------------------------------------------------------------------------

TAGS = ["<a ", '<a x="', "<!--", "<![CDATA[", "<div>", "<p>x", "<br></br>", "</a ", "&", "&#", "<"]
TAGS += ["<script>", "<meta ", "<h1>a", "<svg>", "<a x='\">", "<?", "= "]
HOSTILE: dict[str, tuple[str, Callable[[int], bytes], int]] = {
    **{f"html {tag}": ("a.html", lambda n, tag=tag: tag.encode() * n, 10_000) for tag in TAGS},
    "html spaces": ("a.html", lambda n: b"<a" + b" " * n + b"b" * n, 40_000),
    "md spaces": ("a.md", lambda n: b"# a" + b" " * n + b"b", 40_000),
    "md signs": ("a.md", lambda n: b"# " + b"#" * n + b"b", 40_000),
    "md headings": ("a.md", lambda n: b"x\n# \t \n" * n, 20_000),
    "txt": ("a.txt", lambda n: b"\r\n" * n + b"x", 100_000),
    "csv quotes": ("a.csv", lambda n: b'a,b\n"' + b'""' * n, 100_000),
    "csv open quotes": ("a.csv", lambda n: b'a\n"x\n' * n, 20_000),
    "csv commas": ("a.csv", lambda n: b"a,b\n" + b"," * n, 100_000),
    "csv stray": ("a.csv", lambda n: b"a,b\n" + b'"a"b\n' * n, 10_000),
    "tsv": ("a.tsv", lambda n: b"a\tb\n" + b'"\n' * n, 20_000),
    "json depth": ("a.jsonl", lambda n: b"[" * n, 100_000),
    "json escapes": ("a.jsonl", lambda n: b'{"a": "' + rb"\u0041" * n + b'"}', 50_000),
    "json digits": ("a.jsonl", lambda n: b'{"a": ' + b"1" * n + b"}", 100_000),
    "json fraction": ("a.jsonl", lambda n: b'{"a": 0.' + b"1" * n + b"}", 100_000),
    "json keys": ("a.jsonl", lambda n: b'{"a": 1, ' + b'"a": 1, ' * n + b'"b": 2}', 20_000),
    "parquet": ("a.parquet", lambda n: parquet_bytes(n, "x"), 40_000),
    "gz": ("a.jsonl.gz", lambda n: gzip.compress(b"{}\n" * n), 20_000),
    "bz2": ("a.csv.bz2", lambda n: bz2.compress(b"id\n" + b"1\n" * n), 20_000),
    "xz": ("a.csv.xz", lambda n: lzma.compress(b"id\n" + b"1\n" * n), 20_000),
}


SAMPLE = {"html <div>", "md spaces", "csv quotes"}


@pytest.mark.parametrize("case", sampled(HOSTILE, fast=SAMPLE))
def test_reading_takes_time_that_grows_with_the_file(case: str, tmp_path: Path) -> None:
    name, content, size = HOSTILE[case]

    def write(n: int) -> Path:
        (tmp_path / str(n)).mkdir(exist_ok=True)
        (tmp_path / str(n) / name).write_bytes(content(n))
        return tmp_path / str(n)

    assert growth(read, write, size) < BOUND


def test_rows_of_a_database_take_time_that_grows_with_them(tmp_path: Path) -> None:
    def write(n: int) -> Path:
        file = tmp_path / f"{n}.db"
        with sqlite3.connect(file) as database:
            database.execute("create table if not exists t (id, text)")
            database.executemany("insert into t values (?, ?)", ((k, "x" * 40) for k in range(n)))
        database.close()
        return file

    def work(file: Path) -> list[Any]:
        spec = SqlSource.model_validate(
            {
                "kind": "sql",
                "url": f"sqlite:///{file}",
                "query": "select * from t",
                "fields": {"key": "id", "text": "text"},
            }
        )
        return list(open_source("notes", spec, tmp_path).read(WINDOW))

    assert growth(work, write, 5_000) < BOUND


@pytest.mark.parametrize("text", sampled([" ", "\u0301", "a\u200d", "\x1c"], fast={"\u0301"}))
def test_checking_a_row_takes_time_that_grows_with_it(text: str) -> None:
    fields = FieldMapping(key="id", text="text", title="text")
    taken = growth(
        lambda row: check_row(row, source="s", fields=fields),
        lambda n: SourceRow({"id": "1", "text": text * n, "more": [text] * n}, "p", "u"),
        50_000,
    )
    assert taken < BOUND


def test_golden_queries_take_time_that_grows_with_them(tmp_path: Path) -> None:
    def write(n: int) -> Settings:
        folder = tmp_path / str(n)
        folder.mkdir(exist_ok=True)
        lines = (json.dumps({"_id": str(k), "text": "What?"}) for k in range(n))
        (folder / "queries.jsonl").write_text("\n".join(lines))
        (folder / "qrels.tsv").write_text("\n".join(f"{k}\td\t1" for k in range(n)))
        written = {
            "start_date": "2026-11-01",
            "sources": {"notes": {"kind": "files", "path": "x"}},
            "models": {"m": {"package": "p"}},
            "golden_queries": {"a": {"source": "notes", "kind": "beir", "path": str(folder)}},
        }
        (folder / "platform.yaml").write_text(json.dumps(written))
        return load_settings(folder / "platform.yaml", environ={})

    def work(settings: Settings) -> pa.Table:
        return read_golden_queries(settings, open_source=lambda name: pytest.fail(name))

    assert growth(work, write, 3_000) < BOUND
