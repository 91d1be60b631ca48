"""Whatever bytes a file holds, a reader ends in two ways: rows, or rejects that name the place.

Files of every format are made, then damaged: bits are flipped, parts cut off, doubled, moved or
replaced, encodings changed. Each is read beside a good file, which must land every time, and every
row goes on through the check and the JSON of a landing.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vector_platform.settings import FieldMapping, FilesSource
from vector_platform.sources.base import Reject, SourceRow
from vector_platform.sources.landing.rows import check_row
from vector_platform.sources.registry import open_source
from vector_platform_tests.sources.files.reading import WINDOW
from vector_platform_tests.sources.paper import docx_bytes, pdf_bytes

TEXTS = [
    "plain",
    'a "quoted" one',
    "é ü 漢字 🦜",
    "one\ntwo",
    " \t",
    "\x00\x1e",
    "a;b,c\td|e",
    "'",
    "",
]
KINDS = {
    "malformed csv", "malformed json", "malformed parquet", "ragged row", "bad encoding",
    "over a limit", "unreadable file", "not representable", "no text",
}  # fmt: skip


def table_rows(chance: random.Random) -> list[dict[str, object]]:
    return [
        {"id": str(number), "text": chance.choice(TEXTS), "n": chance.choice([number, None])}
        for number in range(chance.randrange(1, 40))
    ]


def csv_file(chance: random.Random) -> bytes:
    ending = chance.choice(["\n", "\r\n", "\r"])
    rows = [("id", "text", "n"), *((r["id"], r["text"], r["n"]) for r in table_rows(chance))]
    quoted = (",".join('"' + str(cell).replace('"', '""') + '"' for cell in row) for row in rows)
    return ending.join(quoted).encode(
        chance.choice(["utf-8", "utf-8-sig", "utf-16", "cp1252"]), "replace"
    )


def tsv_file(chance: random.Random) -> bytes:
    return b"id\ttext\n" + b"\n".join(
        f"{r['id']}\t{r['text']}".encode() for r in table_rows(chance)
    )


def json_file(chance: random.Random) -> bytes:
    deep = (
        '{"id": "d", "text": ' + '{"x":[' * (depth := chance.choice([1, 90, 5000])) + "]}" * depth
    )
    odd = ['{"\\ud83d": 1}', '{"id": NaN, "text": 1e999}', f'{{"id": {"9" * 5000}}}', deep + "}"]
    lines = [json.dumps(row, ensure_ascii=chance.random() < 0.5) for row in table_rows(chance)]
    return "\n".join([*lines, *chance.sample(odd, 2)]).encode(chance.choice(["utf-8", "utf-16"]))


def parquet_file(chance: random.Random) -> bytes:
    rows = table_rows(chance)
    columns = {
        "id": pa.array([row["id"] for row in rows]),
        "text": pa.array([row["text"] for row in rows]),
        "at": pa.array(
            [chance.randrange(-(2**62), 2**62) for _ in rows], pa.timestamp("us", "Europe/Paris")
        ),
        "price": pa.array([f"{chance.random():.9f}" for _ in rows]).cast(pa.decimal128(20, 9)),
        "tags": pa.array([[str(row["text"])] * 2 for row in rows]),
        "deep": pa.array([{"a": [{"b": row["n"]}]} for row in rows]),
    }
    out = io.BytesIO()
    packing = chance.choice(["none", "snappy", "zstd", "gzip"])
    pq.write_table(
        pa.table(columns), out, compression=packing, use_dictionary=chance.random() < 0.5
    )
    return out.getvalue()


def html_file(chance: random.Random) -> bytes:
    pieces = [
        "<p>",
        "</p>",
        "<div",
        ">",
        "<!--",
        "<meta charset=",
        "&#x;",
        "&amp",
        "</head>",
        *TEXTS,
    ]
    text = "<html><head><title>T</title>" + "".join(chance.choices(pieces, k=60))
    return text.encode(chance.choice(["utf-8", "cp1252", "utf-16"]), "replace")


def text_file(chance: random.Random) -> bytes:
    return "\n".join(["# Head", *chance.choices(TEXTS, k=5)]).encode(
        chance.choice(["utf-8", "cp1252"]), "replace"
    )


FORMATS: dict[str, Callable[[random.Random], bytes]] = {
    "a.csv": csv_file,
    "a.tsv": tsv_file,
    "a.jsonl": json_file,
    "a.parquet": parquet_file,
    "a.html": html_file,
    "a.md": text_file,
    "a.txt": text_file,
    "a.csv.gz": lambda chance: gzip.compress(csv_file(chance)),
    "a.jsonl.bz2": lambda chance: bz2.compress(json_file(chance)),
    "a.tsv.xz": lambda chance: lzma.compress(tsv_file(chance)),
    "a.csv.zip": lambda chance: zipped(csv_file(chance)),
    "a.pdf": lambda chance: pdf_bytes(chance.choice(["Hello", "a (b", "x" * 200])),
    "a.docx": lambda chance: docx_bytes("Head", chance.choice(["text", "more " * 50])),
}


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", content)
    return out.getvalue()


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The same with a few things wrong."""
    found = bytearray(content)
    for _ in range(chance.choice([0, 1, 1, 1, 3, 10])):
        at = chance.randrange(len(found) + 1)
        to = min(len(found), at + chance.choice([1, 1, 4, 50]))
        match chance.randrange(7):
            case 0 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                del found[at:]
            case 2:
                del found[at:to]
            case 3:
                found[at:at] = found[at:to]
            case 4:
                found[at:to] = chance.randbytes(to - at)
            case 5:
                found[at:at] = chance.choice(
                    [b'"', b"\x00", b"\r", b"\xff\xfe", b"\xed\xa0\x80", b"<", b"{", b"[" * 2000]
                )
            case _:
                found[at:to] = b"\xff" * (to - at)
    return bytes(found)


def read_beside(root: Path, name: str, content: bytes) -> None:
    """Read a file beside a good one, and hold what comes to the two ends."""
    (root / name).write_bytes(content)
    (root / "z.jsonl").write_text('{"id": "good", "text": "good"}')
    limits = {"document_characters": 5000, "unpacked_mib": 64, "conversion_seconds": 20}
    fields = FieldMapping(key="id", text="text", attributes={"n": "n", "price": "price"})
    if name.endswith((".html", ".md", ".txt", ".pdf", ".docx")):
        fields = FilesSource(kind="files", path="x").fields
    spec = FilesSource.model_validate(
        {"kind": "files", "path": ".", "limits": limits, "fields": fields}
    )
    places, good = set(), 0
    for item in open_source("notes", spec, root).read(WINDOW):
        assert item.place not in places and item.uri in (name, "z.jsonl")
        places.add(item.place)
        if isinstance(item, Reject):
            assert item.reason.partition(":")[0] in KINDS, item.reason
            assert item.reason.partition(": ")[2] and item.place.startswith(name)
            continue
        assert isinstance(item, SourceRow)
        good += item.uri == "z.jsonl"
        check_row(item, source="notes", fields=spec.fields, limits=spec.limits)
    assert good == 1


SAMPLE, FULL = 15, 1000
SLOW = (".pdf", ".docx")


def read_many(root: Path, name: str, seeds: range) -> None:
    for seed in seeds:
        chance = random.Random(f"{name}:{seed}")
        content = FORMATS[name](chance)
        try:
            read_beside(root, name, damaged(content, chance))
        except BaseException as error:
            error.add_note(f"{name}, seed {seed}")
            raise


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.endswith(SLOW)])
def test_any_bytes_give_rows_or_named_rejects(name: str, tmp_path: Path) -> None:
    read_many(tmp_path, name, range(SAMPLE))


@pytest.mark.deep
@pytest.mark.parametrize("name", FORMATS)
def test_any_bytes_give_rows_or_named_rejects_at_length(name: str, tmp_path: Path) -> None:
    read_many(tmp_path, name, range(SAMPLE, 60 if name.endswith(SLOW) else FULL))
