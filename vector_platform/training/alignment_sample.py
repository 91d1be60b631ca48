"""Contents that an alignment of embedding spaces is fitted and judged on.

Belongs here: which contents are embedded with both models.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from vector_platform.errors import RefusedByPolicy, TerminalError
from vector_platform.lake.lake import Lake
from vector_platform.settings import Upgrades

# Of the held-out contents, the part that may be answers of golden queries; the rest distracts.
ANSWERS_SHARE = 0.7


class AlignmentRefused(RefusedByPolicy):
    """The aligned vectors would lose too much of the new model's quality; nothing is kept."""


class TooFewContents(TerminalError):
    """There is too little to fit a map on, or to judge it by."""


@dataclass(frozen=True)
class Sample:
    """Contents for a trial: chunks as (doc_id, content_hash, text), no document in both parts."""

    fitted: pa.Table
    held_out: pa.Table


def choose_sample(lake: Lake, old: str, sizes: Upgrades) -> Sample:
    """Contents to embed with both models: random documents, and answers of golden queries.

    Raises:
        TooFewContents: Embedding all of them is quicker.
    """
    version = lake.chunks.version()
    wanted = sizes.alignment_pairs + sizes.alignment_held_out
    pool = lake.sample_contents(old, chunks_version=version, rows=wanted * 2)
    held = min(sizes.alignment_held_out, pool.num_rows // 3)
    answers = lake.sample_contents(
        old,
        chunks_version=version,
        rows=round(held * ANSWERS_SHARE),
        doc_ids=sorted(set(lake.golden_queries.read(["doc_id"]).column("doc_id").to_pylist())),
    )
    # A document that the limit has cut is judged by the chunks that are in.
    others = without(pool, "doc_id", answers)
    distracting = others.slice(0, held - answers.num_rows)
    held_out = pa.concat_tables([answers, distracting])
    rest = without(without(others, "doc_id", distracting), "content_hash", held_out)
    fitted = rest.slice(0, sizes.alignment_pairs)
    if fitted.num_rows < 100 or held_out.num_rows < 50:
        raise TooFewContents(
            f"{fitted.num_rows} contents to fit a map and {held_out.num_rows} to judge it are too "
            "few (100 and 50 are needed): embed the corpus with the new model, it is small"
        )
    return Sample(fitted, held_out)


def without(rows: pa.Table, column: str, others: pa.Table) -> pa.Table:
    """Rows whose value in a column is not among those of another table."""
    return rows.filter(pc.invert(pc.is_in(rows.column(column), value_set=others.column(column))))
