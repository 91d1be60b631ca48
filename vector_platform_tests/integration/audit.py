"""What a command of the CLI has really done, held against the jobs that its verb is tied to.

Belongs here: reading the commits of the lake and the runs of the instance before and after.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from vector_platform.cli.launching import is_of
from vector_platform.orchestration.runs.instance import open_instance
from vector_platform.wiring import load_settings
from vector_platform_tests.cli.verbs import verbs
from vector_platform_tests.integration.deployments import Command, Deployment


class Audit:
    """The commands of a deployment, each looked at when it has ended.

    Attributes:
        launched: Verb -> jobs that it has launched; of every verb that was called.
    """

    def __init__(self, home: Deployment) -> None:
        self._data = home.data_dir
        self._plain = home.cli
        self._instance = open_instance(load_settings(home.file, {}))
        self._tied = verbs()
        self._runs: set[str] = set()
        self.launched: dict[str, set[str]] = defaultdict(set)

    def cli(self, *arguments: str) -> Command:
        """The command, which does no more than its verb may."""
        self._new_jobs()
        before = self._written()
        done = self._plain(*arguments)
        jobs, changed = self._new_jobs(), self._written() - before
        verb = self._verb(arguments)
        if verb is not None:
            self.launched[verb] |= jobs
            strange = {job for job in jobs if not is_of(self._tied[verb], job)}
            assert not strange, f"{verb} has launched {strange}"
            assert jobs or not changed, f"{verb} has written by itself: {sorted(changed)}"
        return done

    def _verb(self, arguments: tuple[str, ...]) -> str | None:
        called = " ".join(arguments) + " "
        return next((verb for verb in self._tied if called.startswith(f"{verb} ")), None)

    def _new_jobs(self) -> set[str]:
        found = {run.run_id: run.job_name for run in self._instance.get_runs()}
        new = {name for run_id, name in found.items() if run_id not in self._runs}
        self._runs = set(found)
        return new

    def _written(self) -> set[Path]:
        """Commits of all tables, and the model versions that were made here, as they are."""
        return {*self._data.rglob("_delta_log/*.json"), *self._data.rglob("model.yaml")}
