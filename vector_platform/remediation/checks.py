"""Checks: what each of them asserts, of what, and what its failure asks of people.

Belongs here: one record a check. Its name exists here only; the check itself is in the room of its
asset (`orchestration/*/`), what the platform does about a failure in `reactions.py`, and the table
of the operators' page is made from these records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

# What a check looks at. An index check is one of every backend.
Place = Literal["raw", "lake/chunks", "lake/embeddings", "quality/retrieval", "index"]

LANDED = "every_row_lands"
CHUNKS = "chunks_keep_the_contract"
COMPLETE = "every_chunk_is_embedded"
VECTORS = "vectors_keep_the_contract"
CANARY = "model_answers_as_registered"
DRIFT = "distribution_has_not_drifted"
PARITY = "index_matches_lake"
RECALL = "index_recall_holds"
QUALITY = "retrieval_quality_holds"
REFUSED = "every_row_is_indexed"
MIRROR = "mirror_follows_pointer"


@dataclass(frozen=True)
class Check:
    """A check of the platform.

    Attributes:
        name: An assertion.
        of: What it looks at.
        asserts: What holds when it passes, for the UI.
        when_it_fails: What to do, for the operators' page.
        plots: Numbers that mean something over time; all others stand in one table.
        blocks: Whether nothing downstream runs after a failure.
        undecided: Whether what it has found says nothing either way; by its facts.
    """

    name: str
    of: Place
    asserts: str
    when_it_fails: str
    plots: tuple[str, ...]
    blocks: bool = False
    undecided: Callable[[Mapping[str, Any]], bool] = lambda facts: False


# What the check of quality answers, in `verdict`, when it has compared and can tell. Any other
# answer (too few queries, nothing live to compare with) is no proof.
_DECIDED = ("better", "not worse", "worse")


CHECKS: Mapping[str, Check] = {
    check.name: check
    for check in (
        Check(
            LANDED,
            "raw",
            "No row of the day was rejected; rejected ones are in raw_rejects.",
            "Rows were rejected. Read `raw_rejects`, mend them at the source, run the partition "
            "again. A warning up to `quality.max_reject_share`, an error above.",
            plots=(
                "rejected",
                "reject_share",
            ),
        ),
        Check(
            CHUNKS,
            "lake/chunks",
            "Ids are unique and fit both backends, tenants and attributes are admissible, and "
            "every content hash is the hash of its content.",
            "Ids, tenants, attributes or hashes break the contract. The metadata counts each rule "
            "and names rows. Chunks are derived: find what wrote them, mend it, materialise again.",
            plots=("violations",),
            blocks=True,
        ),
        Check(
            COMPLETE,
            "lake/embeddings",
            "Every content of the chunks has a vector under the model version.",
            "Some contents have no vector. Materialise the partition again; it embeds only what "
            "is missing.",
            plots=("contents_missing",),
            blocks=True,
        ),
        Check(
            VECTORS,
            "lake/embeddings",
            "Vectors have the registered dimension, are finite and of unit norm, come from the "
            "registered fingerprint, and are unique by content.",
            "A vector has another dimension, norm or fingerprint, or comes twice. Do not delete "
            "rows. Retire the model version, give the mended model a new name, and promote that.",
            plots=("violations",),
            blocks=True,
        ),
        Check(
            CANARY,
            "lake/embeddings",
            "The model gives its canary texts the vectors it gave them when it was registered, "
            "and has the registered fingerprint.",
            "The model gives its canary texts other vectors than at its registration. See [A "
            "model that changed behind its name](#a-model-that-changed-behind-its-name).",
            plots=(
                "canaries_differing",
                "max_abs_difference",
            ),
            blocks=True,
        ),
        Check(
            DRIFT,
            "lake/embeddings",
            "The newest days hold what the reference days lead one to expect, as a whole and in "
            "every tenant and source (sketches of days; one threshold for a year).",
            "The newest days differ from the reference days, as a whole (`global_alarm`) or in "
            "some slices (`slices_alarmed`). By itself that breaks nothing; [what "
            "follows](#what-happens-when-a-check-fails) depends on the other checks. Look at "
            "`what_moved` and the time line: is it new material, or a broken source? `acts` says "
            "whether enough of it is new (`novel_share_low`), of the whole and of each slice; "
            "`1_diagnosis` says in words what follows, and whose the slice is.",
            plots=(
                "statistic",
                "novel_share_low",
                "slice_novel_share_low",
            ),
            undecided=lambda facts: facts.get("outcome") == "not enough data",
        ),
        Check(
            PARITY,
            "index",
            "Every id and digest of the live and of the newest generation, read back per tenant "
            "through the path queries use, equals the lake; some rows whole. After a sync of "
            "changes, what it touched.",
            "Somebody wrote to the index, or lost part of it. `vector-platform index repair`, or "
            "the job `repair_<backend>`, rewrites exactly what differs.",
            plots=(
                "rows",
                "missing",
                "stale",
                "orphaned",
            ),
        ),
        Check(
            RECALL,
            "index",
            "In every slice of age and tenant, the live generation (of a model that is not live, "
            "its newest) finds the neighbours that exact search over the lake finds.",
            "The index holds every row and does not find some of them. `vector-platform index "
            "rebuild` makes a generation anew from the lake. See [What an index does not "
            "find](#what-an-index-does-not-find).",
            plots=(
                "recall",
                "worst_recall",
                "p95_latency_ms",
            ),
        ),
        Check(
            QUALITY,
            "quality/retrieval",
            "On the golden queries, the model version is not worse than the champion: the live "
            "model's record at its release. Paired; too few queries decide nothing.",
            "The model version finds less than the live model did at its release. Look at "
            f"`{RECALL}` first; a rebuild does not help where the index is faithful.",
            plots=(
                "value",
                "champion_value",
            ),
            undecided=lambda facts: facts.get("verdict") not in _DECIDED,
        ),
        Check(
            REFUSED,
            "index",
            "The backend has refused no row of the live and of the newest generation; refused ones "
            "are in the lake table rejected_rows, with the backend's reason.",
            "The backend refused single rows. Read `rejected_rows` in the lake, mend what the "
            "reason names at the source; a changed row is tried again. `vector-platform index "
            "repair` tries all of them again.",
            plots=("refused",),
        ),
        Check(
            MIRROR,
            "index",
            "The backend's own aliases stand for the live generation, so that readers outside the "
            "platform see what the live pointer says.",
            "The backend's aliases stand for another generation than the live one: a release was "
            "interrupted, or somebody moved them. The next sync or any release command makes them "
            "follow.",
            plots=("left_behind",),
        ),
    )
}
