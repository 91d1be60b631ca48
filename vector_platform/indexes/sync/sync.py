"""The verbs of an index: sync, build, verify, doubt, repair, drop, forecast.

Belongs here: which generation is meant, who may write it, and what a run after a crash does. What
is to be done is found in `decision.py` and carried out in `applying.py`.

Whose the index is comes first, read from the backend. A writer locks the rows of one generation
and nothing else (`indexes/lock.py`), so generations are built, synced and made live side by side.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from vector_platform.indexes.proof.verification import IndexDiverged, Verification
from vector_platform.indexes.state import GenerationState
from vector_platform.indexes.sync.applying import Applier
from vector_platform.indexes.sync.context import GenerationGone, SyncContext
from vector_platform.indexes.sync.decision import Decider, Decision
from vector_platform.indexes.sync.forecast import Forecast, forecast
from vector_platform.indexes.sync.report import SyncReport
from vector_platform.indexes.sync.writing import DeleteDiverged
from vector_platform.lake.snapshots import Snapshot

# Rows a build hands over at once: enough for full requests although each is of one tenant.
BUILD_ROWS = 16_384


class IndexSync:
    """Syncs the generations of one index on one backend."""

    def __init__(self, context: SyncContext) -> None:
        self.context = context
        self.states, self.locks = context.states, context.locks
        self.ownership = context.ownership
        self._lake, self._target = context.lake, context.target
        self._run_id, self._progress = context.run_id, context.progress
        self._decider = Decider(context)
        self._applier = Applier(context)
        self.prover = self._applier.prover

    # -- verbs ------------------------------------------------------------------------------

    def sync(
        self,
        model_version: str,
        *,
        generation: str | None = None,
        allow_delete: int = 0,
        wait_seconds: float | None = None,
    ) -> SyncReport:
        """Bring a generation of a model version to the newest snapshot.

        Args:
            model_version: Whose vectors.
            generation: Which one; default the newest, or a new one when there is none.
            allow_delete: Deletes let through the guard this once.
            wait_seconds: How long another writer of that generation is waited for; None for as
                long as the sync always does.

        Raises:
            SnapshotIncomplete: Some chunks have no vector yet; nothing is written.
            DeleteGuard: Too much would be deleted; nothing is written.
            DeleteDiverged: The backend has deleted other rows than it was asked to.
            IndexDiverged: Not equal even after a repair; the state is not advanced.
            SyncInProgress: Somebody else still writes that generation.
            GenerationGone: It has been dropped.
            NotOurs: The index is another lake's, or was written by another history of this one.
        """
        self.ownership.require()
        while True:
            newest = None if generation else self.states.newest(model_version)
            name = generation or (newest.generation if newest else None)
            if name is None:
                report = self._begin(model_version, beside_others=False)
                if report is not None:
                    return report
                continue  # somebody else has begun one meanwhile: theirs is waited for
            with self.locks.writing(name).held(wait_seconds=wait_seconds), suppress(GenerationGone):
                state = self.context.current(name)
                if reason := self.ownership.lost(state):
                    self.doubt(state, reason)
                    state = self.context.current(name)
                with self._doubting(state):
                    return self._sync(state, model_version, allow_delete)
            if generation is not None:
                raise self.context.gone(generation)

    def build(self, model_version: str) -> SyncReport:
        """Build a new generation beside the existing ones. Readers notice nothing."""
        self.ownership.require()
        report = self._begin(model_version, beside_others=True)
        assert report is not None
        return report

    def verify(
        self, state: GenerationState, snapshot: Snapshot | None = None, *, every_row: bool = False
    ) -> Verification:
        """Compare a generation with the snapshot it is proven equal to, or with another one.

        One that differs from what it was proven equal to is not proven any more, from here on.

        Args:
            state: The generation.
            snapshot: What to compare it with, if not with what it is proven equal to.
            every_row: Read all rows whole, not those whose turn it is and some others.
        """
        against = snapshot or state.snapshot or self._lake.snapshot()
        proof = self.prover.read_all(state, against, every_row=every_row)
        if not proof.clean and against == state.snapshot:
            self.doubt(state, f"it differs from {against}: {proof.describe()}")
        return proof

    def doubt(self, state: GenerationState, reason: str) -> None:
        """Take back the proof of a generation that is known to be broken, until the next proof.

        Readers are told (`degraded`), and the next sync compares everything. Nothing happens where
        the generation has been written to since that state was read.
        """
        if self.states.doubt(state, reason, run_id=self._run_id, now=datetime.now(UTC)):
            self._progress(f"{state.generation} is not proven any more: {reason}")

    def repair(self, state: GenerationState, *, allow_delete: int = 0) -> SyncReport:
        """Compare everything with the newest snapshot and rewrite exactly what differs.

        Raises:
            SyncInProgress: Somebody else still writes that generation.
            GenerationGone: It has been dropped.
        """
        with self.locks.writing(state.generation).held():
            started = time.monotonic()
            self.ownership.require()
            state = self.context.current(state.generation)
            if not self._target.exists(state.identity):
                state = self._make_again(state, self._lake.snapshot())
            decision = self._decider.decide_in_full(state, "repair", every_row=True)
            assert decision.plan is not None
            with self._doubting(state):
                return self._applier.apply(state, decision, decision.plan, allow_delete, started)

    def drop(self, state: GenerationState) -> None:
        """Remove a generation that nobody needs any more."""
        self.ownership.require()
        writing = self.locks.writing(state.generation)
        with writing.held(), self.locks.catalogue.held():
            self._target.drop(state.identity)
            self.states.mark_dropped(state, run_id=self._run_id, now=datetime.now(UTC))
            writing.forget()

    def is_current(self, state: GenerationState) -> bool:
        """Whether nothing has been added to the chunks, or taken from them, since a generation."""
        now, proven = self._lake.snapshot(), state.snapshot
        return proven is not None and (proven.chunks_id, proven.chunks) == (
            now.chunks_id,
            now.chunks,
        )

    def forecast(self, model_version: str, *, dimension: int | None = None) -> Forecast:
        """What `sync` would do to the newest generation of a model version. Writes nothing.

        Args:
            model_version: Whose vectors.
            dimension: Length of the vectors, for a model version that has none in the lake yet.

        Raises:
            UnknownModelVersion: The lake knows no vector of the model, and no dimension is given.
        """
        state = self.states.newest(model_version)
        return self._forecast(
            state, model_version, self._decider.decide(state, model_version), dimension
        )

    def _forecast(
        self,
        state: GenerationState | None,
        model_version: str,
        decision: Decision,
        dimension: int | None = None,
    ) -> Forecast:
        if state is not None:
            dimension = state.dimension
        return forecast(
            self.context,
            decision,
            model_version=model_version,
            dimension=dimension or self._lake.model_version(model_version).dimension,
            generation=state.generation if state else None,
        )

    # -- steps ------------------------------------------------------------------------------

    @contextmanager
    def _doubting(self, state: GenerationState) -> Iterator[None]:
        """Tell readers when a block leaves a generation that is known to be broken."""
        try:
            yield
        except (DeleteDiverged, IndexDiverged) as error:
            for current in self.states.present():
                if current.generation == state.generation:
                    self.doubt(current, str(error))
            raise

    def _sync(self, state: GenerationState, model_version: str, allow_delete: int) -> SyncReport:
        started = time.monotonic()
        decision = self._decider.decide(state, model_version)
        forecast = self._forecast(state, model_version, decision)
        if decision.plan is None:
            elapsed = time.monotonic() - started
            none = SyncReport(state, decision.mode, decision.reason, 0, 0, elapsed, None)
            return replace(none, forecast=forecast)
        if not self._target.exists(state.identity):
            state = self._make_again(state, decision.snapshot)
        report = self._applier.apply(state, decision, decision.plan, allow_delete, started)
        return replace(report, forecast=forecast)

    def _make_again(self, state: GenerationState, snapshot: Snapshot) -> GenerationState:
        """Make the place of a generation anew, after it has gone."""
        # What it was proven equal to is no longer there, whatever happens from here on.
        with self.locks.catalogue.held():
            return self._applier.open(state, snapshot, create=True)

    def _begin(self, model_version: str, *, beside_others: bool) -> SyncReport | None:
        """Build a new generation; None when another one came first and there should be only one."""
        started = time.monotonic()
        decision = self._decider.decide(None, model_version)
        forecast = self._forecast(None, model_version, decision)
        model = self._lake.model_version(model_version)
        snapshot = self._lake.snapshot()
        # Refuses an incomplete snapshot before anything exists.
        rows = self._applier.rows(model_version, snapshot, batch_rows=BUILD_ROWS)
        with ExitStack() as building:
            with self.locks.catalogue.held():
                if not beside_others and self.states.newest(model_version) is not None:
                    return None
                new = self.states.next(model)
                self.ownership.require_free(new)
                # Locked before anybody can see it: whoever finds it waits until it is built.
                building.enter_context(self.locks.writing(new.name).held())
                state = self.states.begin(
                    model, spec=self.context.spec, run_id=self._run_id, now=datetime.now(UTC)
                )
                state = self._applier.open(state, snapshot, create=True)
            decision = Decision("build", "new generation", snapshot, None)
            report = self._applier.build(state, rows, decision, started)
        return replace(report, forecast=forecast)
