"""The one door by which a verb changes anything: it launches a job, as people do in the UI.

Belongs here: what ties a verb to its jobs. A verb that is tied to none writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from fnmatch import fnmatchcase
from functools import wraps
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from vector_platform.orchestration.launch import RunOutcome, Runs

P = ParamSpec("P")

# The job of runs that materialise assets, as Dagster calls it.
ASSETS = "__ASSET_JOB"

# Whether what Dagster and libraries say of runs is shown.
verbose: ContextVar[bool] = ContextVar("verbose", default=False)
# Jobs of the verb that is running.
_jobs: ContextVar[tuple[str, ...]] = ContextVar("jobs")


def launches(*jobs: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Tie a verb to the jobs that it launches; its help names one that it is the verb of."""

    def tied(verb: Callable[P, None]) -> Callable[P, None]:
        @wraps(verb)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            outside = _jobs.set(jobs)
            try:
                verb(*args, **kwargs)
            finally:
                _jobs.reset(outside)

        if jobs[1:] == () and jobs != (ASSETS,) and "*" not in jobs[0]:
            run.__doc__ = f"{cleandoc(verb.__doc__ or '')}\n\nA run of the job {jobs[0]}."
        vars(run)["jobs"] = jobs
        return run

    return tied


def jobs_of(verb: object) -> tuple[str, ...]:
    """The jobs that a verb is tied to."""
    return getattr(verb, "jobs", ())


def is_of(jobs: tuple[str, ...], job: str) -> bool:
    """Whether a job is one of those; `repair_*` is that of every backend."""
    return any(fnmatchcase(job, tied) for tied in jobs)


def open_runs() -> Runs:
    """What runs of this deployment are launched with, in a verb that is tied to jobs."""
    from vector_platform.orchestration.launch import Runs
    from vector_platform.wiring import Platform

    assert _jobs.get(()), "a verb that launches runs is tied to their jobs"
    return Runs(Platform.load(), verbose=verbose.get())


def launch(runs: Runs, config: Any = None, job: str = "") -> RunOutcome:
    """Run the job of the verb; one of several is named."""
    chosen = job or _jobs.get()[0]
    assert is_of(_jobs.get(), chosen), f"{chosen} is no job of this verb"
    return runs.job(chosen, config)
