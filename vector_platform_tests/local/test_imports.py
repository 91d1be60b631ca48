"""Bulk import from a local folder, by the unmodified SDK."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pinecone import Pinecone
from pinecone.exceptions import PineconeApiException

from vector_platform.local.pinecone_server import PineconeServer
from vector_platform_tests.local.conftest import API_KEY, SCHEMA, document


def finished(index: Any, job_id: str) -> Any:
    waiting = threading.Event()
    for _ in range(1000):
        job = index.describe_import(job_id)
        if job.status not in ("Pending", "InProgress"):
            return job
        waiting.wait(0.01)
    raise AssertionError("the import did not finish")


def write_lines(folder: Path, namespace: str, lines: list[Any], file: str = "0.jsonl") -> None:
    (folder / namespace).mkdir(parents=True, exist_ok=True)
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / namespace / file).write_text(text)


def test_documents_are_imported_into_one_namespace_a_folder(index: Any, tmp_path: Path) -> None:
    write_lines(tmp_path, "one", [document(f"a{i}", n=i) for i in range(1500)])
    write_lines(tmp_path, "one", [document(f"b{i}") for i in range(10)], "1.jsonl")
    write_lines(tmp_path, "two%2F2", [document("c")])
    job = finished(index, index.start_import(uri=tmp_path.as_uri()).id)
    assert (job.status, job.records_imported, job.percent_complete) == ("Completed", 1511, 100.0)
    stats = index.describe_index_stats().namespaces
    assert {name: s.vector_count for name, s in stats.items()} == {"one": 1510, "two/2": 1}
    assert list(index.documents.fetch(namespace="one", filter={"n": 7}).documents) == ["a7"]


def test_vectors_are_imported_from_parquet(client: Pinecone, tmp_path: Path) -> None:
    client.create_index(name="classic", dimension=2, metric="dotproduct")
    index = client.index(name="classic")
    (tmp_path / "t").mkdir()
    rows = [
        {"id": "a", "values": [1.0, 0.0], "metadata": '{"n": 1}', "sparse_values": None},
        {
            "id": "b",
            "values": [0.0, 1.0],
            "metadata": None,
            "sparse_values": {"indices": [5], "values": [2.0]},
        },
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t" / "0.parquet")
    assert finished(index, index.start_import(uri=str(tmp_path)).id).status == "Completed"
    shown = index.fetch(ids=["a", "b"], namespace="t").vectors
    assert shown["a"].metadata == {"n": 1.0}
    assert shown["b"].sparse_values.indices == [5]


@pytest.mark.parametrize("bad", ["{", {"_id": "x"}, document("x", n=None)])
def test_a_bad_record_ends_an_import_with_its_place_or_is_skipped(
    index: Any, tmp_path: Path, bad: Any
) -> None:
    for namespace in ("strict", "lenient"):
        folder = tmp_path / namespace
        write_lines(folder, namespace, [document("a"), bad, document("b")])
    strict = finished(index, index.start_import(uri=str(tmp_path / "strict")).id)
    assert strict.status == "Failed"
    assert "strict/0.jsonl, row 2" in strict.error
    uri = str(tmp_path / "lenient")
    lenient = finished(index, index.start_import(uri=uri, error_mode="continue").id)
    assert (lenient.status, lenient.records_imported) == ("Completed", 2)
    assert index.describe_index_stats().total_vector_count == 2


def test_an_import_into_an_existing_namespace_or_from_nothing_fails(
    index: Any, tmp_path: Path
) -> None:
    index.create_namespace(name="taken")
    write_lines(tmp_path / "full", "taken", [document("a")])
    taken = finished(index, index.start_import(uri=str(tmp_path / "full")).id)
    assert taken.status == "Failed" and "already exists" in taken.error
    empty = finished(index, index.start_import(uri=str(tmp_path / "none")).id)
    assert empty.status == "Failed" and "No namespaces found" in empty.error


def test_imports_are_listed_newest_first_and_object_storage_is_left_out(
    index: Any, tmp_path: Path
) -> None:
    ids = [index.start_import(uri=str(tmp_path / "none")).id for _ in range(5)]
    assert [job.id for job in index.list_imports(limit=2)] == ids[::-1]
    with pytest.raises(PineconeApiException) as refused:
        index.start_import(uri="s3://bucket/folder")
    assert refused.value.status_code == 501
    with pytest.raises(PineconeApiException) as refused:
        index.describe_import("999")
    assert refused.value.status_code == 404


def test_a_cancelled_import_stays_cancelled(index: Any, tmp_path: Path) -> None:
    for part in range(20):
        write_lines(tmp_path, f"n{part:02}", [document(f"d{i}") for i in range(2000)])
    job_id = index.start_import(uri=str(tmp_path)).id
    index.cancel_import(job_id)
    assert finished(index, job_id).status == "Cancelled"
    for thread in threading.enumerate():
        if thread.name == "import":
            thread.join()
    assert index.describe_import(job_id).status == "Cancelled"
    assert index.describe_index_stats().total_vector_count < 40_000


def test_deleting_the_index_ends_its_imports(client: Pinecone, index: Any, tmp_path: Path) -> None:
    for part in range(20):
        write_lines(tmp_path, f"n{part:02}", [document(f"d{i}") for i in range(500)])
    index.start_import(uri=str(tmp_path))
    client.indexes.delete("documents")
    for thread in threading.enumerate():
        if thread.name == "import":
            thread.join()
    client.indexes.create(name="documents", schema=SCHEMA)
    again = client.index(name="documents")
    assert again.describe_index_stats().total_vector_count == 0
    assert list(again.list_imports()) == []


def test_an_import_that_a_stopped_server_left_unfinished_is_reported_as_failed(
    tmp_path: Path,
) -> None:
    for part in range(50):
        write_lines(tmp_path / "in", f"n{part:02}", [document(f"d{i}") for i in range(1000)])
    with PineconeServer(tmp_path / "data", api_key=API_KEY) as server:
        client = Pinecone(api_key=API_KEY, host=server.url)
        client.indexes.create(name="first", schema=SCHEMA)
        job_id = client.index(name="first").start_import(uri=str(tmp_path / "in")).id
    with PineconeServer(tmp_path / "data", api_key=API_KEY) as server:
        client = Pinecone(api_key=API_KEY, host=server.url)
        job = client.index(name="first").describe_import(job_id)
    assert job.status == "Failed"
    assert "server stopped" in job.error
