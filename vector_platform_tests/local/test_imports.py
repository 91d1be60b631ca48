"""Bulk import from a folder and from an S3-compatible store, by the unmodified SDK."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from pinecone import Pinecone
from pinecone.exceptions import PineconeApiException
from pyarrow.fs import S3FileSystem

from vector_platform.local.pinecone_server import PineconeServer
from vector_platform.local.pinecone_server.call import encode_token
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


@pytest.fixture(scope="module")
def store_url() -> Iterator[str]:
    """An S3-compatible store on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> S3FileSystem:
    for name in ("AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-told")
    made = S3FileSystem(
        access_key="local",
        secret_key="not-to-be-told",
        endpoint_override=store_url,
        region="us-east-1",
        allow_bucket_creation=True,
    )
    made.create_dir("bucket")
    return made


def put(store: S3FileSystem, path: str, data: bytes) -> None:
    with store.open_output_stream(path) as file:
        file.write(data)


def test_documents_are_imported_from_an_s3_compatible_store(
    index: Any, store: S3FileSystem
) -> None:
    lines = "\n".join(json.dumps(document(f"a{i}", n=i)) for i in range(1500)).encode()
    put(store, "bucket/day #1/50%/one/0.jsonl", lines)
    put(store, "bucket/day #1/50%/two%2F2/0.jsonl", json.dumps(document("c")).encode())
    put(store, "bucket/day #1/50%/two%2F2/notes.txt", b"not read")
    job = finished(index, index.start_import(uri="s3://bucket/day #1/50%/").id)
    assert (job.status, job.records_imported) == ("Completed", 1501), job.error
    stats = index.describe_index_stats().namespaces
    assert {name: s.vector_count for name, s in stats.items()} == {"one": 1500, "two/2": 1}


def test_vectors_are_imported_from_parquet_in_an_s3_compatible_store(
    client: Pinecone, store: S3FileSystem, tmp_path: Path
) -> None:
    client.create_index(name="classic", dimension=2, metric="cosine")
    index = client.index(name="classic")
    rows = [{"id": f"r{n}", "values": [1.0, float(n)], "metadata": None} for n in range(2500)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "0.parquet")
    put(store, "bucket/vectors/t/0.parquet", (tmp_path / "0.parquet").read_bytes())
    job = finished(index, index.start_import(uri="s3://bucket/vectors").id)
    assert (job.status, job.records_imported) == ("Completed", 2500), job.error
    assert index.fetch(ids=["r7"], namespace="t").vectors["r7"].values == [1.0, 7.0]


def test_a_store_that_refuses_fails_the_import_and_no_secret_is_told(
    index: Any, store: S3FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = finished(index, index.start_import(uri="s3://bucket/nothing here").id)
    assert nothing.status == "Failed"
    assert "No namespaces found under s3://bucket/nothing here" in nothing.error
    no_bucket = finished(index, index.start_import(uri="s3://no-such-bucket/folder").id)
    assert no_bucket.status == "Failed"
    assert "s3://no-such-bucket/folder" in no_bucket.error
    assert "not-to-be-told" not in no_bucket.error + nothing.error
    with pytest.raises(PineconeApiException) as refused:
        index.start_import(uri="s3://")
    assert refused.value.status_code == 400


def test_an_import_from_a_store_lives_from_its_start_to_its_cancellation(
    index: Any, store: S3FileSystem
) -> None:
    for part in range(20):
        lines = "\n".join(json.dumps(document(f"d{i}")) for i in range(500)).encode()
        put(store, f"bucket/large/n{part:02}/0.jsonl", lines)
    job_id = index.start_import(uri="s3://bucket/large", error_mode="continue").id
    assert job_id in [job.id for job in index.list_imports()]
    index.cancel_import(job_id)
    assert index.describe_import(job_id).status == "Cancelled"
    for thread in threading.enumerate():
        if thread.name == "import":
            thread.join()
    assert index.describe_import(job_id).status == "Cancelled"


def test_a_plain_path_is_taken_as_it_is(index: Any, tmp_path: Path) -> None:
    write_lines(tmp_path / "a%20b #1?", "one", [document("a")])
    job = finished(index, index.start_import(uri=str(tmp_path / "a%20b #1?")).id)
    assert (job.status, job.records_imported) == ("Completed", 1), job.error


@pytest.mark.parametrize("token", ["-1", "x", "²", "9" * 40, "1; drop table import_job"])
def test_a_page_of_imports_after_nonsense_is_refused(index: Any, token: str) -> None:
    with pytest.raises(PineconeApiException) as refused:
        index.list_imports_paginated(pagination_token=encode_token(token))
    assert refused.value.status_code == 400
    with pytest.raises(PineconeApiException) as refused:
        index.describe_import(token)
    assert refused.value.status_code == 404


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


def test_imports_are_listed_newest_first_and_other_stores_are_left_out(
    index: Any, tmp_path: Path
) -> None:
    ids = [index.start_import(uri=str(tmp_path / "none")).id for _ in range(5)]
    assert [job.id for job in index.list_imports(limit=2)] == ids[::-1]
    with pytest.raises(PineconeApiException) as refused:
        index.start_import(uri="gs://bucket/folder")
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
