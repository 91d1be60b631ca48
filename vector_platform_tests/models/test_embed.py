"""The driver: commits, resumption, refusals, bounded reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

from vector_platform.errors import ContractError
from vector_platform.lake.contract import EMBEDDINGS, hash_text
from vector_platform.models.base import Embedded, Embedder
from vector_platform.models.embed import EmbedProgress, embed_missing


def batch(texts: list[str], hashes: list[str] | None = None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {"content_hash": hashes or [hash_text(text) for text in texts], "text": texts}
    )


def contents(count: int, *, batch_rows: int = 10) -> Iterator[pa.RecordBatch]:
    for start in range(0, count, batch_rows):
        yield batch([f"content {n}" for n in range(start, min(start + batch_rows, count))])


def test_vectors_arrive_in_commits_of_the_lakes_schema(wordllama: Embedder) -> None:
    tables: list[pa.Table] = []
    seen: list[EmbedProgress] = []
    report = embed_missing(
        wordllama,
        contents(25),
        run_id="run-1",
        commit=tables.append,
        commit_rows=8,
        on_progress=seen.append,
    )
    assert [table.num_rows for table in tables] == [8, 8, 8, 1]
    assert all(table.schema.equals(EMBEDDINGS.schema) for table in tables)
    rows = pa.concat_tables(tables).to_pylist()
    expected = wordllama.encode_documents([f"content {n}" for n in range(25)])
    for n, row in enumerate(rows):
        assert row["content_hash"] == hash_text(f"content {n}")
        assert np.array_equal(np.array(row["vector"], np.float32), expected[n])
        assert row["fingerprint"] == wordllama.fingerprint.digest
        assert (row["model_version"], row["run_id"]) == ("wordllama-256", "run-1")
    assert (report.texts, report.commits, report.truncated) == (25, 4, 0)
    assert report.tokens > 25 and report.texts_per_second > 0
    assert [(p.texts, p.committed) for p in seen] == [(8, 8), (16, 16), (24, 24), (25, 25)]


def test_a_killed_run_keeps_its_commits_and_the_next_does_the_rest(wordllama: Embedder) -> None:
    class Killed(BaseException):
        pass

    stored: dict[str, list[float]] = {}

    def commit(table: pa.Table) -> None:
        if len(stored) == 16:
            raise Killed
        stored.update(
            zip(table["content_hash"].to_pylist(), table["vector"].to_pylist(), strict=True)
        )

    with pytest.raises(Killed):
        embed_missing(wordllama, contents(30), run_id="a", commit=commit, commit_rows=8)
    assert len(stored) == 16
    missing = [f"content {n}" for n in range(30) if hash_text(f"content {n}") not in stored]
    rest: list[pa.Table] = []
    report = embed_missing(wordllama, [batch(missing)], run_id="b", commit=rest.append)
    assert report.texts == 14
    whole: list[pa.Table] = []
    embed_missing(wordllama, contents(30), run_id="c", commit=whole.append)
    for table in rest:
        stored |= zip(table["content_hash"].to_pylist(), table["vector"].to_pylist(), strict=True)
    (table,) = whole
    assert stored == dict(
        zip(table["content_hash"].to_pylist(), table["vector"].to_pylist(), strict=True)
    )


def test_contents_are_read_no_further_than_the_window(wordllama: Embedder) -> None:
    read = 0

    def endless() -> Iterator[pa.RecordBatch]:
        nonlocal read
        while True:
            read += 1
            yield batch([f"content {read}"])

    class Enough(Exception):
        pass

    def commit(table: pa.Table) -> None:
        raise Enough

    with pytest.raises(Enough):
        embed_missing(wordllama, endless(), run_id="r", commit=commit, commit_rows=16)
    assert read == 16


def test_nothing_missing_commits_nothing(wordllama: Embedder) -> None:
    report = embed_missing(wordllama, [], run_id="r", commit=pytest.fail)
    assert (report.texts, report.commits, report.texts_per_second) == (0, 0, 0.0)


def test_every_bad_content_of_a_window_is_listed_and_nothing_of_it_committed(
    wordllama: Embedder,
) -> None:
    blank, wrong, fine = hash_text(" "), "0" * 32, hash_text("fine")
    bad = batch([" ", "other", "fine", "fine"], [blank, wrong, fine, fine])
    with pytest.raises(ContractError) as caught:
        embed_missing(wordllama, [bad], run_id="r", commit=pytest.fail)
    assert caught.value.violations == [
        f"content {blank}: text is blank",
        f"content {wrong}: is not the hash of its text",
        f"content {fine}: comes more than once",
    ]


def test_null_texts_are_refused(wordllama: Embedder) -> None:
    nulls = pa.RecordBatch.from_pydict({"content_hash": ["a"], "text": pa.nulls(1, pa.string())})
    with pytest.raises(ContractError, match="text: holds nulls"):
        embed_missing(wordllama, [nulls], run_id="r", commit=pytest.fail)


class Spoiled(Embedder):
    """An embedder whose vectors are damaged on the way out."""

    def __init__(self, inner: Embedder, damage: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__(inner.name, inner.fingerprint)
        self.inner, self.damage = inner, damage

    def _count(self, texts: list[str]) -> int:
        return self.inner.count_tokens(texts)

    def _encode(self, texts: list[str], *, stable: bool, on_batch: object) -> Embedded:
        vectors = self.inner.encode_documents(texts).copy()
        return Embedded(self.damage(vectors), len(texts), 0)


def nan_and_long(vectors: np.ndarray) -> np.ndarray:
    vectors[0, 3] = np.nan
    vectors[2] *= 2
    return vectors


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (nan_and_long, ["vector holds NaN or infinity", "norm is 2, not 1"]),
        (lambda v: v[:, :128], ["vectors have shape 3x128, expected rows of 256"]),
        (lambda v: v[:2], ["2 vectors for 3 contents"]),
    ],
    ids=["values", "dimension", "count"],
)
def test_vectors_that_break_the_contract_are_never_committed(
    damage: Callable[[np.ndarray], np.ndarray], says: list[str], wordllama: Embedder
) -> None:
    with pytest.raises(ContractError) as caught:
        embed_missing(Spoiled(wordllama, damage), contents(3), run_id="r", commit=pytest.fail)
    assert len(caught.value.violations) == len(says)
    for line, expected in zip(caught.value.violations, says, strict=True):
        assert line.endswith(expected)
