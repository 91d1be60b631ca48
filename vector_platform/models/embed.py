"""The driver that embeds missing contents and hands them over in commits.

Belongs here: windows, validation, progress, the report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from vector_platform.errors import ContractError
from vector_platform.lake.contract import EMBEDDINGS, hash_text
from vector_platform.models.base import CutShort, Embedder, Vectors
from vector_platform.models.checks import text_problem, vector_problems
from vector_platform.progress import EVERY_SECONDS


@dataclass(frozen=True)
class EmbedProgress:
    """How far a run is.

    Attributes:
        texts: Texts embedded so far, committed or not.
        committed: Texts whose vectors have been handed to `commit`.
        seconds: Time since the start.
    """

    texts: int
    committed: int
    seconds: float

    @property
    def texts_per_second(self) -> float:
        """Mean speed since the start, commits included; 0 before the first text."""
        return self.texts / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class EmbedReport:
    """What a run did.

    Attributes:
        texts: Texts embedded and committed.
        tokens: Tokens the model read, without padding.
        truncated: Texts longer than the model's longest input; their end is not in the vector.
        commits: Number of commits.
        seconds: Wall time, loading the model and commits included.
        encode_seconds: The part of it spent in the model.
    """

    texts: int
    tokens: int
    truncated: int
    commits: int
    seconds: float
    encode_seconds: float

    @property
    def texts_per_second(self) -> float:
        """Texts a second in the model; 0 when there was nothing to do."""
        return self.texts / self.encode_seconds if self.encode_seconds > 0 else 0.0


def embed_missing(
    embedder: Embedder,
    batches: Iterable[pa.RecordBatch],
    *,
    run_id: str,
    commit: Callable[[pa.Table], None],
    commit_rows: int = 2048,
    on_progress: Callable[[EmbedProgress], None] | None = None,
) -> EmbedReport:
    """Embed contents and commit their vectors every `commit_rows` rows.

    A killed run loses at most one window: the caller computes what is missing from what was
    committed and calls again. Memory is bounded by the window, not by the number of contents.
    With no contents the model is never loaded.

    Args:
        embedder: The model version.
        batches: Columns `content_hash` and `text`; each content once.
        run_id: Goes into every row.
        commit: Writes a table of the schema `lake.contract.EMBEDDINGS`; it must be durable when
            this returns.
        commit_rows: Rows of a commit, and the window in which texts are sorted by length.
        on_progress: Called after each commit and every few seconds in between.

    Raises:
        ContractError: Texts that cannot be embedded, hashes that are not their text's, repeated
            contents, or vectors that break the contract; every violation of the window. Nothing
            of the window is committed; earlier commits stay.
    """
    started = time.perf_counter()
    texts = committed = tokens = truncated = commits = 0
    encode_seconds = 0.0
    reported = started

    def report(*, always: bool) -> None:
        nonlocal reported
        now = time.perf_counter()
        if on_progress and (always or now - reported >= EVERY_SECONDS):
            reported = now
            on_progress(EmbedProgress(texts, committed, now - started))

    def count(done: int) -> None:
        nonlocal texts
        texts += done
        report(always=False)

    for hashes, contents in _windows(batches, commit_rows):
        _check_contents(embedder, hashes, contents)
        before = time.perf_counter()
        cut: CutShort | None = None
        try:
            embedded = embedder.embed_documents(contents, on_batch=count)
        except CutShort as error:
            # What has been made, and maybe paid for, counts.
            cut, embedded = error, error.embedded
            hashes = hashes[: len(embedded.vectors)]
        encode_seconds += time.perf_counter() - before
        check_vectors(embedder, hashes, embedded.vectors)
        commit(vector_table(embedder, hashes, embedded.vectors, run_id=run_id))
        texts = committed = committed + len(hashes)
        tokens += embedded.tokens
        truncated += embedded.truncated
        commits += 1
        report(always=True)
        if cut is not None:
            raise cut.cause
    seconds = time.perf_counter() - started
    return EmbedReport(committed, tokens, truncated, commits, seconds, encode_seconds)


def _windows(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[tuple[list[str], list[str]]]:
    hashes: list[str] = []
    texts: list[str] = []
    for batch in batches:
        nulls = [name for name in ("content_hash", "text") if batch.column(name).null_count]
        if nulls:
            raise ContractError("contents to embed", [f"{name}: holds nulls" for name in nulls])
        hashes += batch.column("content_hash").to_pylist()
        texts += batch.column("text").to_pylist()
        while len(hashes) >= rows:
            yield hashes[:rows], texts[:rows]
            hashes, texts = hashes[rows:], texts[rows:]
    if hashes:
        yield hashes, texts


def _check_contents(embedder: Embedder, hashes: list[str], texts: list[str]) -> None:
    violations = []
    seen: set[str] = set()
    for content_hash, text in zip(hashes, texts, strict=True):
        if problem := text_problem(text):
            violations.append(f"content {content_hash}: text {problem}")
        elif hash_text(text) != content_hash:
            violations.append(f"content {content_hash}: is not the hash of its text")
        if content_hash in seen:
            violations.append(f"content {content_hash}: comes more than once")
        seen.add(content_hash)
    if violations:
        raise ContractError(f"contents to embed with model {embedder.name}", violations)


def check_vectors(embedder: Embedder, hashes: list[str], vectors: Vectors) -> None:
    """Refuse vectors that break the contract.

    Raises:
        ContractError: Names every content whose vector does.
    """
    if len(vectors) != len(hashes):
        raise ContractError(
            f"vectors of model {embedder.name}",
            [f"{len(vectors)} vectors for {len(hashes)} contents"],
        )
    problems = vector_problems(vectors, dimension=embedder.dimension)
    if problems:
        lines = [f"content {hashes[row]}: {problem}" for row, problem in problems]
        raise ContractError(f"vectors of model {embedder.name}", lines)


def vector_table(
    embedder: Embedder, hashes: list[str], vectors: Vectors, *, run_id: str
) -> pa.Table:
    """Vectors of contents under a model version, as rows of the lake."""
    schema = EMBEDDINGS.schema
    rows, dimension = vectors.shape
    offsets = pa.array(range(0, rows * dimension + 1, dimension), pa.int32())
    columns = {
        "model_version": pa.array([embedder.name] * rows, pa.string()),
        "content_hash": pa.array(hashes, pa.string()),
        "vector": pa.ListArray.from_arrays(
            offsets, pa.array(vectors.ravel()), type=schema.field("vector").type
        ),
        "fingerprint": pa.array([embedder.fingerprint.digest] * rows, pa.string()),
        "run_id": pa.array([run_id] * rows, pa.string()),
        "embedded_at": pa.array([datetime.now(UTC)] * rows, schema.field("embedded_at").type),
    }
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
