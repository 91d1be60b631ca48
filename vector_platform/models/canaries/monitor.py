"""Does a model version still answer as registered, and which runs are proven by that?

Belongs here: keeping canaries in the lake, judging, recording verdicts, and which runs a verdict
proves or condemns.

A verdict names runs. A passed one proves every run of the version whose vectors are in the lake; a
failed one condemns those that no earlier verdict has proven. It is recorded before any vector is
moved, so whatever is killed in between, `carry_out` finishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from vector_platform.lake.contract import CANARIES
from vector_platform.lake.evaluations import Measurement, PastEvaluation, keep, measurements_of
from vector_platform.lake.lake import Lake
from vector_platform.lake.storage.conditions import Condition
from vector_platform.lake.tables import run_metadata
from vector_platform.lake.vector_quarantine import quarantine_runs
from vector_platform.models.base import Embedder
from vector_platform.models.canaries.answers import (
    CanarySet,
    choose_texts,
    deviation,
    learn,
    runtime_of,
)

KIND = "canaries"
METRIC = "max_abs_difference"
# Contents that canaries are chosen from: enough to have every length, read in a moment.
CORPUS_SAMPLE = 2000


@dataclass(frozen=True)
class Verdict:
    """Whether a model version answers as registered.

    Attributes:
        evaluation_id: Its record in `evaluations`.
        passed: No canary differs, and the fingerprint is the registered one.
        max_abs_difference: Largest difference of a component over all canaries.
        tolerance: Largest difference that is no change.
        canaries: Texts compared.
        canaries_differing: Those beyond the tolerance.
        fingerprint_matches: Whether the model's files and settings are the registered ones.
        runtime: Where it was asked.
        registered_runtime: Where the vectors it was compared with were made.
        distances: Largest difference of a component of each canary, in their order.
        least_cosine: Between an answer and the registered vector, of all canaries.
    """

    evaluation_id: str
    passed: bool
    max_abs_difference: float
    tolerance: float
    canaries: int
    canaries_differing: int
    fingerprint_matches: bool
    runtime: str
    registered_runtime: str
    distances: tuple[float, ...]
    least_cosine: float

    def facts(self) -> dict[str, Any]:
        """Numbers first, for metadata and JSON."""
        return {
            "max_abs_difference": self.max_abs_difference,
            "tolerance": self.tolerance,
            "canaries": self.canaries,
            "canaries_differing": self.canaries_differing,
            "least_cosine": self.least_cosine,
            "fingerprint_matches": int(self.fingerprint_matches),
            "evaluation_id": self.evaluation_id,
            "runtime": self.runtime,
            "registered_runtime": self.registered_runtime,
            "distances": list(self.distances),
        }


class ModelMonitor:
    """The canaries of one model version.

    Args:
        lake: Where canaries, verdicts and vectors are.
        embedder: The model version, as it answers now. It must be registered.
        run_id: Recorded with everything written.
    """

    def __init__(self, lake: Lake, embedder: Embedder, *, run_id: str) -> None:
        self._lake = lake
        self._embedder = embedder
        self._run_id = run_id
        self._mine: Condition = ("model_version", "==", embedder.name)

    def probe(self) -> Verdict:
        """Ask the canaries; register them where the model has none.

        An answer in a runtime that is new is compared with the first registration, with a wider
        tolerance, and becomes that runtime's own reference when it holds. So a chain of runtimes
        cannot drift away from the registration.

        Raises:
            VectorPlatformError: The model cannot be asked. That is an outage, not a verdict.
        """
        known = self._known()
        runtime = runtime_of(self._embedder)
        registered = known.get(runtime) or next(iter(known.values()), None)
        if registered is None:
            texts = choose_texts(self._corpus(), max_tokens=self._embedder.max_tokens)
            registered = self._register(learn(self._embedder, texts))
        found = deviation(self._embedder, registered)
        matches = (
            self._lake.model_version(self._embedder.name).fingerprint
            == self._embedder.fingerprint.digest
        )
        if registered.runtime != runtime and matches and not found.differing:
            self._register(learn(self._embedder, registered.texts))
        return Verdict(
            evaluation_id=uuid4().hex,
            passed=matches and not found.differing,
            max_abs_difference=found.max_abs_difference,
            tolerance=found.tolerance,
            canaries=len(registered.texts),
            canaries_differing=len(found.differing),
            fingerprint_matches=matches,
            runtime=runtime,
            registered_runtime=registered.runtime,
            distances=tuple(float(f"{distance:.3g}") for distance in found.distances),
            least_cosine=round(found.least_cosine, 6),
        )

    def texts(self, runtime: str) -> tuple[str, ...]:
        """The canaries that were registered in a runtime, in their order."""
        return self._known()[runtime].texts

    def record(self, verdict: Verdict) -> None:
        """Write a verdict down, with the runs it proves or condemns."""
        judged = self._judged()
        runs = {run for run in self._written() if judged.get(run) is not True}
        if not verdict.passed:
            # A retried attempt has the id of one that may have been proven before.
            runs.add(self._run_id)
        measured = Measurement(
            kind=KIND,
            subject="model",
            model_version=self._embedder.name,
            metric=METRIC,
            value=verdict.max_abs_difference,
            sample_size=verdict.canaries,
            details={**verdict.facts(), "passed": verdict.passed, "runs": sorted(runs)},
        )
        keep(
            self._lake,
            measured,
            run_id=self._run_id,
            now=datetime.now(UTC),
            evaluation_id=verdict.evaluation_id,
        )

    def carry_out(self) -> int:
        """Move the vectors of condemned runs into quarantine. Returns how many were there."""
        judged = self._judged()
        condemned = {run for run in self._written() if judged.get(run) is False}
        return quarantine_runs(
            self._lake,
            self._embedder.name,
            condemned,
            run_id=self._run_id,
            now=datetime.now(UTC),
        )

    def recorded(self) -> Verdict | None:
        """The newest verdict that this run has recorded."""
        mine = [verdict for verdict in self._verdicts() if verdict.run_id == self._run_id]
        if not mine:
            return None
        details = mine[-1].details
        fields = {name: details[name] for name in Verdict.__dataclass_fields__}
        return Verdict(
            **fields
            | {
                "fingerprint_matches": bool(details["fingerprint_matches"]),
                "distances": tuple(details["distances"]),
            }
        )

    # -- the lake ---------------------------------------------------------------------------

    def _known(self) -> dict[str, CanarySet]:
        """Runtime -> its canaries, in the order of their registration."""
        rows = self._lake.canaries.read(where=[self._mine]).to_pylist()
        by_runtime: dict[str, list[dict[str, Any]]] = {}
        for row in sorted(rows, key=lambda row: (row["registered_at"], row["ordinal"])):
            by_runtime.setdefault(row["runtime"], []).append(row)
        return {
            runtime: CanarySet(
                runtime,
                tuple(row["text"] for row in mine),
                np.array([row["vector"] for row in mine], np.float32),
                mine[0]["tolerance"],
            )
            for runtime, mine in by_runtime.items()
        }

    def _register(self, canaries: CanarySet) -> CanarySet:
        now = datetime.now(UTC)
        rows = [
            {
                "model_version": self._embedder.name,
                "runtime": canaries.runtime,
                "ordinal": ordinal,
                "text": text,
                "vector": vector,
                "tolerance": canaries.tolerance,
                "run_id": self._run_id,
                "registered_at": now,
            }
            for ordinal, (text, vector) in enumerate(
                zip(canaries.texts, canaries.vectors, strict=True)
            )
        ]
        # A merge, not an append: of two first registrations at once, one conflicts.
        self._lake.canaries.merge(
            pa.Table.from_pylist(rows, schema=CANARIES.schema),
            metadata=run_metadata(self._run_id, f"register canaries of {self._embedder.name}"),
        )
        return canaries

    def _corpus(self) -> list[str]:
        # Whatever has a vector already: a model may get its canaries long after its vectors.
        version = self._lake.chunks.version()
        contents = self._lake.some_contents(chunks_version=version, rows=CORPUS_SAMPLE)
        texts: list[str] = contents.column("text").to_pylist()
        return texts

    def _written(self) -> set[str]:
        """Runs whose vectors are in the lake."""
        rows = self._lake.embeddings.read(["run_id"], where=[self._mine])
        return set(rows.column("run_id").unique().to_pylist())

    def _verdicts(self) -> list[PastEvaluation]:
        return measurements_of(self._lake, KIND, self._embedder.name)

    def _judged(self) -> dict[str, bool]:
        """Run -> whether the newest verdict that names it proves it."""
        judged: dict[str, bool] = {}
        for verdict in self._verdicts():
            details = verdict.details
            judged.update(dict.fromkeys(details["runs"], bool(details["passed"])))
        return judged
