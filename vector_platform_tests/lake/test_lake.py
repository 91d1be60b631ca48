from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.lake.contract import MODEL_VERSIONS, content_of, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.lake.snapshots import (
    FingerprintChanged,
    SnapshotIncomplete,
    UnknownModelVersion,
)
from vector_platform.lake.storage.commits import CommitConflict
from vector_platform_tests.lake.building import (
    MODEL,
    START,
    append_vectors,
    chunk,
    chunks,
    embed,
    open_lake,
    put,
    register,
    rows_of,
    vector_of,
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path)


# -- models ---------------------------------------------------------------------------------


def test_a_model_version_is_registered_once_and_confirmed_after(lake: Lake) -> None:
    register(lake)
    version = lake.model_versions.version()
    register(lake)
    assert lake.model_versions.version() == version
    assert lake.model_version(MODEL).dimension == 4


def test_another_fingerprint_under_a_known_name_is_refused_and_nothing_is_written(
    lake: Lake,
) -> None:
    register(lake)
    version = lake.model_versions.version()
    with pytest.raises(FingerprintChanged, match="immutable"):
        register(lake, seed=1)
    assert lake.model_versions.version() == version


def test_an_unknown_model_version_says_how_to_make_it(lake: Lake) -> None:
    with pytest.raises(UnknownModelVersion, match="materialise lake/embeddings"):
        lake.model_version("never.v1")


def test_two_first_registrations_at_once_bind_one_fingerprint(lake: Lake) -> None:
    lake.model_versions.ensure()
    gate = threading.Barrier(2)
    refused: list[Exception] = []

    def race(seed: int) -> None:
        gate.wait()
        try:
            register(lake, seed=seed)
        except (FingerprintChanged, CommitConflict) as error:
            refused.append(error)

    threads = [threading.Thread(target=race, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lake.model_versions.read().num_rows == 1
    assert len(refused) == 1


# -- contents without a vector --------------------------------------------------------------


def test_each_missing_content_comes_once_as_the_model_sees_it(lake: Lake) -> None:
    put(
        lake,
        chunk("s:1", "body", title="Title"),
        chunk("s:2", "body", title="Title", tenant="other"),
        chunk("s:3", "alone"),
    )
    register(lake)
    missing = rows_of(lake.missing_contents(MODEL, chunks_version=lake.chunks.version()))
    assert [row["content_hash"] for row in missing] == sorted(
        row["content_hash"] for row in missing
    )
    assert {row["text"] for row in missing} == {"Title\nbody", "alone"}
    assert lake.count_missing(MODEL, lake.snapshot()) == 2


def test_some_contents_come_once_each_with_and_without_vectors(lake: Lake) -> None:
    put(lake, chunk("s:1", "body", title="Title"), chunk("s:2", "body", title="Title"))
    embed(lake)
    put(lake, *(chunk(f"s:{n}", f"text {n}") for n in range(3, 9)))
    version = lake.chunks.version()
    known = lake.some_contents(chunks_version=version, rows=100).to_pylist()
    assert {row["text"] for row in known} == {"Title\nbody", *(f"text {n}" for n in range(3, 9))}
    assert [row["content_hash"] for row in known] == [
        hash_text(text) for text in sorted((row["text"] for row in known), key=hash_text)
    ]
    assert lake.some_contents(chunks_version=version, rows=3).to_pylist() == known[:3]


def test_a_content_split_differently_into_title_and_text_is_the_same_content(lake: Lake) -> None:
    put(
        lake,
        *(chunk(f"s:a{i}", "b\nc", title="a") for i in range(40)),
        *(chunk(f"s:b{i}", "c", title="a\nb") for i in range(40)),
        *(chunk(f"s:c{i}", "a\nb\nc") for i in range(40)),
    )
    register(lake)
    (missing,) = rows_of(lake.missing_contents(MODEL, chunks_version=lake.chunks.version()))
    assert missing["text"] == content_of("a", "b\nc")


def test_only_the_vectors_of_the_model_itself_count(lake: Lake) -> None:
    put(lake, chunk("s:1", "one"), chunk("s:2", "two"))
    assert embed(lake, "a.v1") == 2
    assert embed(lake, "b.v1") == 2
    put(lake, chunk("s:3", "three"), chunk("s:4", "one"))
    assert embed(lake, "a.v1") == 1
    assert embed(lake, "a.v1") == 0
    assert lake.count_missing("b.v1", lake.snapshot()) == 1


# -- rows of an index -----------------------------------------------------------------------


def test_index_rows_take_the_vectors_of_their_own_model(lake: Lake) -> None:
    rows = [chunk(f"s:{i}", f"text {i}", title=f"title {i}") for i in range(30)]
    put(lake, *rows)
    embed(lake, "a.v1", dimension=4)
    embed(lake, "b.v1", dimension=7)
    for model, dimension in (("a.v1", 4), ("b.v1", 7)):
        found = rows_of(lake.index_rows(model, lake.snapshot(), batch_rows=8))
        assert sorted(row["id"] for row in found) == sorted(row["chunk_id"] for row in rows)
        for row in found:
            seen = content_of(row["title"], row["text"])
            assert np.array_equal(np.float32(row["vector"]), vector_of(model, seen, dimension))


def test_index_rows_by_tenant_are_the_same_rows_with_each_tenants_together(lake: Lake) -> None:
    put(lake, *(chunk(f"s:{i}", f"text {i}", tenant=f"t{i % 7}") for i in range(40)))
    embed(lake)
    some = pa.table({"id": [f"s:{i}#0" for i in range(0, 40, 3)]})
    for ids in (None, some):
        apart, together = (
            rows_of(
                lake.index_rows(MODEL, lake.snapshot(), ids=ids, batch_rows=8, by_tenant=by_tenant)
            )
            for by_tenant in (False, True)
        )
        assert sorted(apart, key=lambda row: row["id"]) == sorted(
            together, key=lambda row: row["id"]
        )
        tenants = [row["tenant"] for row in together]
        assert tenants == sorted(tenants)


def test_index_rows_for_some_ids_are_those_rows_only(lake: Lake) -> None:
    put(lake, *(chunk(f"s:{i}", f"text {i}") for i in range(20)))
    embed(lake, "a.v1")
    embed(lake, "b.v1")
    wanted = pa.table({"id": ["s:3#0", "s:17#0", "s:absent#0"], "extra": [1, 2, 3]})
    found = rows_of(lake.index_rows("b.v1", lake.snapshot(), ids=wanted))
    assert sorted(row["id"] for row in found) == ["s:17#0", "s:3#0"]
    assert rows_of(lake.index_rows("b.v1", lake.snapshot(), ids=wanted.slice(0, 0))) == []


def test_index_rows_refuse_a_snapshot_with_a_content_that_has_no_vector(lake: Lake) -> None:
    put(lake, chunk("s:1"))
    embed(lake)
    put(lake, chunk("s:2", "new"))
    with pytest.raises(SnapshotIncomplete, match=r"1 content"):
        next(lake.index_rows(MODEL, lake.snapshot()))


def test_an_old_snapshot_reads_as_it_was(lake: Lake) -> None:
    put(lake, chunk("s:1", "old"), chunk("s:2", "stays"))
    embed(lake)
    before = lake.snapshot()
    put(lake, chunk("s:1", "new"), delete=["s:2#0"])
    embed(lake)
    texts = {row["text"] for row in rows_of(lake.index_rows(MODEL, before))}
    assert texts == {"old", "stays"}
    assert {row["text"] for row in rows_of(lake.index_rows(MODEL, lake.snapshot()))} == {"new"}


def test_a_stream_of_rows_is_not_disturbed_by_a_commit(lake: Lake) -> None:
    put(lake, *(chunk(f"s:{i}", f"old {i}") for i in range(50)))
    embed(lake)
    stream = lake.index_rows(MODEL, lake.snapshot(), batch_rows=5)
    seen = next(stream).to_pylist()
    lake.chunks.replace(chunks(chunk(f"s:{i}", f"new {i}") for i in range(50)))
    embed(lake)
    seen += rows_of(stream)
    assert sorted(row["text"] for row in seen) == sorted(f"old {i}" for i in range(50))


# -- care -----------------------------------------------------------------------------------


def state_row(lake: Lake, generation: str, **more: Any) -> dict[str, Any]:
    snapshot = lake.snapshot()
    return {
        "backend": "memory",
        "index": "documents",
        "generation": generation,
        "model_version": MODEL,
        "fingerprint": "f",
        "dimension": 4,
        "status": "proven",
        "chunks_version": snapshot.chunks,
        "embeddings_version": snapshot.embeddings,
        "chunks_id": snapshot.chunks_id,
        "rows": 1,
        "spec": "{}",
        "run_id": "r",
        "created_at": START,
        "updated_at": START,
        **more,
    }


def test_vacuum_and_optimize_keep_every_snapshot_that_an_index_names(lake: Lake) -> None:
    put(lake, *(chunk(f"s:{i}", "one") for i in range(5)))
    embed(lake)
    named = lake.snapshot()
    lake.index_state.merge(
        pa.Table.from_pylist([state_row(lake, "g0001")], schema=lake.index_state.spec.schema)
    )
    expected = rows_of(lake.index_rows(MODEL, named))
    for text in ("two", "three", "four"):
        lake.chunks.replace(chunks(chunk(f"s:{i}", text) for i in range(5)))
        embed(lake, run_id=text)
    unnamed = replace(named, chunks=named.chunks + 1)
    removed = lake.optimize()
    assert removed["embeddings"] > 0
    assert lake.vacuum(retention_hours=0)["chunks"] > 0
    found = rows_of(lake.index_rows(MODEL, named))
    assert sorted(found, key=lambda row: row["id"]) == sorted(expected, key=lambda row: row["id"])
    assert len(rows_of(lake.index_rows(MODEL, lake.snapshot()))) == 5
    with pytest.raises(Exception, match="No such file"):
        rows_of(lake.index_rows(MODEL, unnamed))


def test_a_dropped_generation_keeps_no_snapshot_alive(lake: Lake) -> None:
    put(lake, chunk("s:1", "one"))
    embed(lake)
    lake.index_state.merge(
        pa.Table.from_pylist(
            [state_row(lake, "g0001", status="dropped")], schema=lake.index_state.spec.schema
        )
    )
    lake.chunks.replace(chunks([chunk("s:1", "two")]))
    assert lake.vacuum(retention_hours=0)["chunks"] > 0


def test_a_model_may_have_vectors_that_no_chunk_uses_any_more(lake: Lake) -> None:
    put(lake, chunk("s:1", "one"))
    embed(lake)
    append_vectors(lake, MODEL, {"0" * 32: vector_of(MODEL, "gone")})
    assert len(rows_of(lake.index_rows(MODEL, lake.snapshot()))) == 1


def test_the_registry_row_has_the_shape_of_the_contract(lake: Lake) -> None:
    register(lake)
    assert lake.model_versions.read().schema.names == MODEL_VERSIONS.schema.names
