"""`python -m vector_platform_tests.faults.runner`: runs in processes that die well.

Belongs here: one job a line on stdin, each in a process of its own, forked from one that has all
imports behind it (no channel, file or thread is opened before the fork). A job says every step it
takes on stdout, and kills itself with SIGKILL at the step it is told.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vector_platform.errors import TransientError, VectorPlatformError
from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.backends.pinecone.settings import PineconeSettings
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.ownership.adoption import Adopter
from vector_platform.indexes.sync.report import SyncReport
from vector_platform.indexes.sync.sync import IndexSync
from vector_platform.lake.lake import Lake
from vector_platform.releases.evaluation.context import ReleaseContext
from vector_platform.releases.pointer.cutover import Cutover
from vector_platform.releases.pointer.following import sync_followers
from vector_platform.releases.pointer.live import LivePointer, Release
from vector_platform.releases.requests.rollback import go_back
from vector_platform.releases.requests.service import ReleaseService
from vector_platform.settings import BackendName, Releases
from vector_platform_tests.faults import corpus as corpora
from vector_platform_tests.faults.reader import read_until_told
from vector_platform_tests.integration.conftest import Server, open_index
from vector_platform_tests.lake.building import open_lake
from vector_platform_tests.syncing import index_sync

INDEX = "documents"
Verb = Literal["run", "build", "repair", "publish", "release", "rollback", "adopt", "read"]


@dataclass(frozen=True)
class Job:
    """What to do, in JSON.

    Attributes:
        folder: Holds the lake, the locks and `corpus.json`.
        backend: Which backend.
        url: Its server.
        verb: `run` publishes the corpus, syncs what follows the lake and tidies up; `build`
            publishes and builds a new generation; `repair` publishes and compares all; `publish`
            writes the lake only; `release` builds a new generation and makes it live; `rollback`
            takes the last move back; `adopt` takes over what the lake does not know, and syncs
            nothing; `read` searches until the file `stop` is there.
        models: Model versions, in order.
        kill_at: Number of the step to die at, or its name; None to live.
        allow_delete: Deletes let through the guard.
        timeout_seconds: Of a request.
        file_bytes: Largest file this process may write: a disk that is full.
        full_proof_hours: As in `IndexSync`.
    """

    folder: str
    backend: BackendName
    url: str
    verb: Verb
    models: list[str] = field(default_factory=lambda: ["tiny.v1"])
    kill_at: int | str | None = None
    allow_delete: int = 0
    timeout_seconds: float = 20.0
    file_bytes: int | None = None
    full_proof_hours: float = 24

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def say(kind: str, what: Any) -> None:
    # One write, so that a line is whole or not there.
    os.write(1, f"{kind} {json.dumps(what)}\n".encode())


class Steps:
    """Numbers the steps of a job; dies at one of them."""

    def __init__(self, kill_at: int | str | None) -> None:
        self._kill_at = kill_at
        self._taken = 0

    def watch(self, owner: object, method: str, name: str) -> None:
        """Make the moments before and after every call of a method steps."""
        call: Callable[..., Any] = getattr(owner, method)

        def watched(*args: Any, **options: Any) -> Any:
            self.take(f"before {name}")
            answer = call(*args, **options)
            self.take(f"after {name}")
            return answer

        setattr(owner, method, watched)

    def take(self, name: str) -> None:
        self._taken += 1
        say("step", name)
        if self._kill_at in (self._taken, name):
            os.kill(os.getpid(), signal.SIGKILL)


def sync_of(
    lake: Lake,
    target: VectorIndex,
    folder: Path,
    progress: Callable[[str], None],
    full_proof_hours: float,
) -> IndexSync:
    return index_sync(
        lake,
        target,
        folder,
        index=INDEX,
        full_proof_hours=full_proof_hours,
        run_id=f"run-{os.getpid()}",
        progress=progress,
    )


def do(job: Job) -> Any:
    folder = Path(job.folder)
    lake = open_lake(folder)
    steps = Steps(job.kill_at)
    for table in (lake.chunks, lake.index_state, lake.rejected_rows, lake.releases):
        steps.watch(table, "merge", f"merge {table.spec.name}")
    steps.watch(lake.embeddings, "append", "append embeddings")
    if job.verb in ("run", "build", "repair", "publish"):
        corpora.publish(lake, corpora.load(folder / "corpus.json"), job.models)
    if job.verb == "publish":
        return None
    target = open_index(
        Server(job.backend, job.url),
        # Small requests, so that there are several, and a search with an index of its own.
        milvus=MilvusSettings(index_type="FLAT", partitions=4, batch_rows=25),
        pinecone=PineconeSettings(batch_rows=10, max_parallel_requests=2),
        timeout_seconds=job.timeout_seconds,
    )
    if job.verb == "read":
        switched: Callable[[str], None] = lambda name: say("generation", name)  # noqa: E731
        return read_until_told(lake, target, folder, job.backend, switched)
    for method in ("create", "mark", "upsert", "fence", "delete", "drop", "point"):
        steps.watch(target, method, method)
    sync = sync_of(lake, target, folder, lambda line: say("progress", line), job.full_proof_hours)
    pointer = TimedPointer(lake, job.backend, INDEX)
    if job.verb in ("release", "rollback"):
        return _move(lake, sync, pointer, target, job)
    if job.verb == "adopt":
        adopter = Adopter(lake, target, sync.states, spec="{}", run_id=f"run-{os.getpid()}")
        adopted = adopter.adopt(adopter.proposals(datetime.now(UTC)), now=datetime.now(UTC))
        return [state.generation for state in adopted]
    reports = [_report(_sync(sync, pointer, job, model)) for model in job.models]
    if job.verb == "run":
        Cutover(pointer, target, sync).tidy_up()
    return reports


class TimedPointer(LivePointer):
    """A live pointer that remembers how long its last move took."""

    seconds = 0.0

    def promote(self, *args: Any, **options: Any) -> Release:
        started = time.perf_counter()
        release = super().promote(*args, **options)
        self.seconds = time.perf_counter() - started
        return release


def _move(
    lake: Lake, sync: IndexSync, pointer: TimedPointer, target: VectorIndex, job: Job
) -> dict[str, float]:
    started = time.perf_counter()
    why: dict[str, Any] = {"actor": "test", "reason": job.verb, "run_id": f"run-{os.getpid()}"}
    if job.verb == "release":
        built = sync.build(job.models[0]).generation
        cutover = Cutover(pointer, target, sync)
        cutover.move(built, evidence={}, **why)
        cutover.tidy_up_quietly()
    else:
        nothing: Any = None  # a rollback asks no gate, so nothing is measured
        context = ReleaseContext(
            lake,
            pointer,
            target,
            sync,
            index=INDEX,
            policy=Releases(),
            metric="",
            recall_floor=0.0,
            recall_queries=nothing,
            probes=nothing,
            run_id="test",
        )
        go_back([ReleaseService(context)], actor="test", reason=job.verb)
    return {"pointer_seconds": pointer.seconds, "seconds": time.perf_counter() - started}


def _sync(sync: IndexSync, pointer: LivePointer, job: Job, model: str) -> SyncReport:
    if job.verb == "build":
        return sync.build(model)
    if job.verb == "repair" and (state := sync.states.newest(model)) is not None:
        return sync.repair(state, allow_delete=job.allow_delete)
    return sync_followers(sync, pointer, model, allow_delete=job.allow_delete)[-1]


def _report(report: SyncReport) -> dict[str, Any]:
    return {
        "mode": report.mode,
        "reason": report.reason,
        "upserted": report.upserted,
        "deleted": report.deleted,
        "generation": report.generation.generation,
        "clean": report.verification is None or report.verification.clean,
    }


def work(job: Job) -> int:
    """Do a job in this process; say how it ended."""
    if job.file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails with an error instead
        resource.setrlimit(resource.RLIMIT_FSIZE, (job.file_bytes, job.file_bytes))
    try:
        say("done", do(job))
    except VectorPlatformError as error:
        transient = isinstance(error, TransientError)
        failure = {"error": type(error).__name__, "transient": transient, "message": str(error)}
        say("failed", failure)
    except BaseException as error:
        say("broke", f"{type(error).__name__}: {error}")
        raise
    return 0


def main() -> None:
    say("ready", None)
    for line in sys.stdin:
        job = Job(**json.loads(line))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                say("pid", os.getpid())
                status = work(job)
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        say("ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
