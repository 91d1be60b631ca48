"""The driver that copies given vectors from landed rows, in commits.

Belongs here: windows, what two rows of one text must have in common, the report. `models/embed.py`
does the same with a model; here no model runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from vector_platform.errors import ContractError
from vector_platform.lake.given import (
    SAME_VECTOR_COSINE,
    NotAVector,
    VectorColumn,
    given_vector,
)
from vector_platform.models.base import Embedder, Vectors
from vector_platform.models.embed import vector_table

# Vectors in one commit.
_COMMIT_ROWS = 2048
# Rows that an error names.
_NAMED = 10

Row = dict[str, Any]


@dataclass
class CopyReport:
    """What a run did.

    Attributes:
        vectors: Vectors copied and committed.
        compared: Rows whose content has a vector already, which theirs is.
        commits: Number of commits.
    """

    vectors: int = 0
    compared: int = 0
    commits: int = 0


@dataclass
class _Copying:
    embedder: Embedder
    columns: Mapping[str, VectorColumn]
    run_id: str
    commit: Callable[[pa.Table, bool], None]
    report: CopyReport = field(default_factory=CopyReport)
    problems: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    vectors: list[Vectors] = field(default_factory=list)

    def take(self, content_hash: str, rows: Iterable[Row]) -> None:
        """The rows of one content: one vector, or a problem that names two of them, and none."""
        kept: Vectors | None = None
        by, known, before = "", False, len(self.problems)
        for row in rows:
            if row["known"] is not None and kept is None:
                kept, by, known = np.array(row["known"], np.float32), "the lake", True
            vector = self._vector_of(row)
            if vector is None:
                continue
            if kept is None:
                kept, by = vector, row["doc_id"]
            elif (cosine := float(np.dot(kept.astype(np.float64), vector))) < SAME_VECTOR_COSINE:
                self.problems.append(
                    f"document {row['doc_id']}: its vector is not that of {by} for the same text "
                    f"(cosine {cosine:.4f})"
                )
            self.report.compared += known
        if kept is not None and not known and len(self.problems) == before:
            self.hashes.append(content_hash)
            self.vectors.append(kept)
            if len(self.hashes) >= _COMMIT_ROWS:
                self.flush()

    def flush(self) -> None:
        if self.hashes:
            table = vector_table(
                self.embedder, self.hashes, np.stack(self.vectors), run_id=self.run_id
            )
            # Without a problem so far, all rows whose content had a vector have been compared.
            self.commit(table, not self.problems)
            self.report.vectors += len(self.hashes)
            self.report.commits += 1
            self.hashes, self.vectors = [], []

    def _vector_of(self, row: Row) -> Vectors | None:
        wanted = self.columns.get(row["source"])
        if wanted is None or row["payload"] is None:
            self.problems.append(
                f"document {row['doc_id']}: its landed row is not in raw/{row['source']}, or no "
                "column of it is mapped; a staging model of one's own must keep row_hash, and "
                "sources.NAME.fields.vectors must name the column"
            )
            return None
        try:
            return given_vector(json.loads(row["payload"]).get(wanted.column), wanted)
        except NotAVector as error:
            self.problems.append(
                f"document {row['doc_id']}: column {wanted.column!r} {error} ({row['uri']})"
            )
            return None


def copy_given(
    embedder: Embedder,
    batches: Iterable[pa.RecordBatch],
    *,
    columns: Mapping[str, VectorColumn],
    run_id: str,
    commit: Callable[[pa.Table, bool], None],
) -> CopyReport:
    """Copy the vectors of landed rows, and compare those of contents that have one.

    A vector is a fact of a text under a model version: rows of one text bring one vector, and a
    row that changes brings the same. What differs is an error, and which of two is right is not
    guessed; everything else is committed first, so one row keeps no other from its vector.

    Args:
        embedder: The model version.
        batches: As `lake.derived.given_rows.rows_to_copy` gives them.
        columns: Source -> where its rows hold the vector.
        run_id: Goes into every row.
        commit: Writes a table of the schema `lake.contract.EMBEDDINGS`; its second argument says
            whether all rows were well until then.

    Raises:
        ContractError: Names documents without a vector that can be stored, and those whose vector
            is another than that of their text.
    """
    copying = _Copying(embedder, columns, run_id, commit)
    for content_hash, rows in groupby(_rows(batches), key=lambda row: row["content_hash"]):
        copying.take(content_hash, rows)
    copying.flush()
    if problems := copying.problems:
        more = [f"and {len(problems) - _NAMED} more"] if len(problems) > _NAMED else []
        raise ContractError(
            f"vectors given for {embedder.name} (vectors of another model belong to a model "
            "version of another name; texts that are the same and mean something else are told "
            "apart by mapping them to title, and no text)",
            problems[:_NAMED] + more,
        )
    return copying.report


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[Row]:
    for batch in batches:
        yield from batch.to_pylist()
