"""A lake, a server and runs between them, each run in a process that a test may kill.

Belongs here: starting jobs (`runner.py`), killing them, and proving by hand that an index holds
exactly what the corpus says.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vector_platform.indexes.proof.verify import verify
from vector_platform.indexes.rejected import RejectedRows
from vector_platform.indexes.state import GenerationState, IndexStates
from vector_platform.lake.contract import canonical_json, content_of
from vector_platform.releases.pointer.live import LivePointer
from vector_platform_tests.faults import corpus as corpora
from vector_platform_tests.faults.corpus import DIMENSION, Corpus, is_hopeless
from vector_platform_tests.faults.runner import INDEX, Job
from vector_platform_tests.faults.servers import PLAIN, Row, ServerProcess
from vector_platform_tests.lake.building import MODEL, open_lake, rows_of, vector_of

# A job that takes longer is stuck, which is a failure of its own.
PATIENCE_SECONDS = 180


@dataclass
class Outcome:
    """How a job ended: `done`, `failed` with one of our errors, `broke`, or `killed`."""

    kind: str = "killed"
    facts: Any = None
    lines: list[str] = field(default_factory=list)

    @property
    def steps(self) -> list[str]:
        return [json.loads(line[5:]) for line in self.lines if line.startswith("step ")]

    @property
    def last_step(self) -> str:
        return self.steps[-1] if self.steps else "the start"


class Runs:
    """The process that forks the jobs. One job at a time; use two for two at once."""

    def __enter__(self) -> Runs:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vector_platform_tests.faults.runner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "TOKIO_WORKER_THREADS": "2"},
        )
        assert self._line() == "ready null"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE_SECONDS)
        self._process.stdout.close()

    def start(self, job: Job) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(job.as_json() + "\n")
        self._process.stdin.flush()

    def finish(
        self,
        on_line: Callable[[int, str, int], None] = lambda *_: None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> Outcome:
        """Read a started job to its end.

        Args:
            on_line: Called with the number of a line, the line, and the job's process id.
            patience_seconds: When to give the job up.
        """
        outcome = Outcome()
        pid = int(self._line().removeprefix("pid "))
        watchdog = threading.Timer(patience_seconds, lambda: os.kill(pid, signal.SIGABRT))
        watchdog.start()
        try:
            while True:
                line = self._line()
                kind, _, rest = line.partition(" ")
                if kind == "ended":
                    break
                if kind in ("done", "failed", "broke"):
                    outcome.kind, outcome.facts = kind, json.loads(rest)
                else:
                    outcome.lines.append(line)
                    on_line(len(outcome.lines), line, pid)
        finally:
            watchdog.cancel()
        if outcome.kind == "killed":
            assert int(rest) == -signal.SIGKILL, f"the job ended with {rest}: {outcome.lines[-3:]}"
        return outcome

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the runner is gone"
        return line.rstrip("\n")


class World:
    """One lake and one server, and a corpus that both should hold."""

    def __init__(self, folder: Path, server: ServerProcess, runs: Runs, seed: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.server = server
        self.runs = runs
        self.rng = random.Random(seed)
        self.models = [MODEL]
        self.lake = open_lake(folder)
        self.states = IndexStates(self.lake.index_state, server.backend, INDEX)
        self.corpus: Corpus = {}
        self.set(corpora.first_corpus(self.rng))

    def set(self, corpus: Corpus) -> None:
        self.corpus = corpus
        corpora.save(corpus, self.folder / "corpus.json")

    def change(self) -> None:
        """A few changes of every kind, not in the lake yet."""
        self.set(corpora.changed(self.corpus, self.rng))

    def job(self, verb: Any = "run", **options: Any) -> Job:
        return Job(
            folder=str(self.folder),
            backend=self.server.backend,
            verb=verb,
            **({"url": self.server.url, "models": self.models} | options),
        )

    def run(
        self,
        verb: Any = "run",
        on_line: Callable[[int, str, int], None] = lambda *_: None,
        **options: Any,
    ) -> Outcome:
        self.runs.start(self.job(verb, **options))
        return self.runs.finish(on_line)

    def killed_at_line(self, number: int, verb: Any = "run") -> Outcome:
        """A run that is killed from outside when it has said so many lines."""

        def kill(at: int, _: str, pid: int) -> None:
            if at == number:
                os.kill(pid, signal.SIGKILL)

        return self.run(verb, kill)

    def normal_run(self) -> list[dict[str, Any]]:
        """A run that must succeed; its reports, one a model."""
        outcome = self.run()
        assert outcome.kind == "done", (outcome.facts, outcome.lines[-5:])
        reports: list[dict[str, Any]] = outcome.facts
        return reports

    def remove(self) -> None:
        """Take the generations off the server, so that the next world can have their names."""
        target = self.server.open()
        try:
            for state in self.states.present():
                target.drop(state.identity)
        finally:
            target.close()

    # -- what is there ----------------------------------------------------------------------

    def newest(self, model: str = MODEL) -> GenerationState:
        state = self.states.newest(model)
        assert state is not None
        return state

    def live(self) -> GenerationState:
        return LivePointer(self.lake, self.server.backend, INDEX).live_generation()

    def rows(self, state: GenerationState | None = None) -> list[Row]:
        """What a generation holds, by the plain SDK; by default the first model's newest."""
        plain = PLAIN[self.server.backend](self.server.url)
        try:
            return plain.rows((state or self.newest()).identity)
        finally:
            plain.close()

    def assert_equal(self) -> None:
        """0 missing, 0 orphaned, 0 stale, 0 duplicated: by our verify, and by hand."""
        for model in self.models:
            self.assert_exact(self.newest(model))
        target = self.server.open()
        try:
            for model in self.models:
                state = self.newest(model)
                assert state.status == "proven" and state.snapshot == self.lake.snapshot()
                excused = RejectedRows(self.lake, state).held()
                proof = verify(
                    self.lake, target, state.identity, self.lake.snapshot(), excused=excused
                )
                assert proof.clean, proof.describe()
        finally:
            target.close()

    def assert_exact(self, state: GenerationState | None = None) -> None:
        """By the plain SDK and the corpus alone, without our code between them."""
        rows = self.rows(state)
        model = state.model_version if state else MODEL
        wanted = {i: row for i, row in self.corpus.items() if not is_hopeless(row)}
        copies = Counter(row["id"] for row in rows)
        assert [i for i, count in copies.items() if count > 1] == [], "duplicated"
        assert sorted(wanted.keys() - copies.keys()) == [], "missing"
        assert sorted(copies.keys() - wanted.keys()) == [], "orphaned"
        digests = {
            key["id"]: key["digest"]
            for key in rows_of(self.lake.index_keys(model, self.lake.snapshot()))
        }
        for row in rows:
            want = wanted[row["id"]]
            for name in ("tenant", "doc_id", "title", "text", "region"):
                assert row[name] == want[name], f"stale {name} of {row['id']}"
            assert canonical_json(row["attributes"]) == want["attributes"]
            assert row["digest"] == digests[row["id"]], f"stale digest of {row['id']}"
            content = content_of(want["title"], want["text"])
            vector = vector_of(model, content, DIMENSION)
            np.testing.assert_allclose(row["vector"], vector, rtol=0, atol=1e-5)
