"""Verbs change things by jobs alone: what each is tied to.

What verbs really do is looked at after every command of `integration/test_cli.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform.cli.launching import ASSETS, is_of, jobs_of, launches, open_runs
from vector_platform_tests.cli.verbs import verbs

ROOT = Path(__file__).parents[2]
# Of the platform itself: a person has no verb for them.
OF_SENSORS = {"reconcile_releases", "monitor_releases", "reembed"}
# `release show` reads the same without a run.
OF_THE_UI = {"show_releases"}


def test_every_job_that_people_launch_has_a_verb_and_every_verb_has_jobs_that_the_ui_has() -> None:
    from vector_platform.orchestration.build import build_definitions
    from vector_platform.wiring import load_settings

    settings = load_settings(ROOT / "platform.yaml", {})
    known = {str(job.name) for job in build_definitions(settings=settings).jobs or []}
    tied = tuple({job for jobs in verbs().values() for job in jobs} - {ASSETS})
    assert {job for job in known if not is_of(tied, job)} == OF_SENSORS | OF_THE_UI
    assert [job for job in tied if not any(is_of((job,), one) for one in known)] == []


def test_a_verb_launches_what_it_is_tied_to_and_nothing_else() -> None:
    with pytest.raises(AssertionError, match="tied to their jobs"):
        open_runs()

    @launches("promote")
    def verb() -> None:
        """Do it."""

    assert jobs_of(verb) == ("promote",)
    assert (verb.__doc__ or "").endswith("A run of the job promote.")
