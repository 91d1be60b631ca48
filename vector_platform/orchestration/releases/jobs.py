"""Jobs of the release service: promote, approve, reject, reconcile, roll back, monitor.

Belongs here: thin ops around `releases.service`, with the report of the gates as metadata.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from vector_platform.lake.lake import Lake
from vector_platform.orchestration.indexes.jobs import chosen_backends
from vector_platform.orchestration.runs.jobs import (
    AskedFor,
    Backends,
    JobConfig,
    ModelVersion,
    one_op_job,
)
from vector_platform.orchestration.runs.retries import TRIED_AGAIN
from vector_platform.releases.evaluation.changed_answers import names_of
from vector_platform.releases.gates.report import as_markdown
from vector_platform.releases.monitor.monitor import monitor_live
from vector_platform.releases.requests.gate_records import kept_report
from vector_platform.releases.requests.policy import overrides_of
from vector_platform.releases.requests.promotion import promote_model
from vector_platform.releases.requests.reconciliation import Reconciled
from vector_platform.releases.requests.requests import ReleaseRequests
from vector_platform.releases.requests.rollback import go_back
from vector_platform.releases.requests.service import ReleaseService
from vector_platform.wiring import Platform


class PromoteConfig(AskedFor):
    """What to make live, and why.

    Attributes:
        model_version: Which model; empty for the best by the newest evaluations.
        backends: Which backends; all configured ones when empty.
        automatic: Whether a sensor or a schedule asks, and not a person.
        accept_undecided: Whether a person who asks has the last word over a gate that cannot tell.
            Only where no approvers are named.
        override_freeze: Reason to release during a freeze; empty to wait for its end.
        allow_shrink: Let a release through that takes many rows away from readers.
    """

    model_version: ModelVersion = ""
    backends: Backends = []
    automatic: bool = False
    accept_undecided: bool = True
    override_freeze: str = ""
    allow_shrink: bool = False


class RejectConfig(AskedFor):
    """A decision about a release request.

    Attributes:
        request_id: Which request, as the job `show_releases` lists it, or one part.
    """

    request_id: str


class ApproveConfig(RejectConfig):
    """An approval, and what it lets through.

    Attributes:
        actor: Who decides; empty for who launches the run. The requester's own approval does not
            count.
        override_freeze: Reason to release during a freeze; empty to wait for its end.
        allow_shrink: Let a release through that takes many rows away from readers.
    """

    actor: str = ""
    override_freeze: str = ""
    allow_shrink: bool = False


class ShowConfig(JobConfig):
    """Which release requests to show.

    Attributes:
        request_id: One of them, or one part; empty for all that are open.
    """

    request_id: str = ""


class RollbackConfig(AskedFor):
    """Which backends go back to an earlier generation, to which, and why.

    Attributes:
        backends: Which backends; all configured ones when empty.
        to: Generation to make live; empty for the one before the newest release.
        before: Release request: the generation before what it released; empty for the newest.
        allow_shrink: Let readers lose many rows.
    """

    backends: Backends = []
    to: str = ""
    before: str = ""
    allow_shrink: bool = False


class MonitorConfig(JobConfig):
    """Which backends' baking releases are looked at.

    Attributes:
        backends: Which backends; all configured ones when empty.
    """

    backends: Backends = []


@one_op_job("promote_op", pool="promote")
def promote(
    context: dg.OpExecutionContext, config: PromoteConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Ask for the release of a model version on the backends.

    Without a name, of the best by the newest evaluations on the golden queries.
    """
    outcomes = promote_model(
        _release_services(context, platform, config.backends),
        model_version=config.model_version or None,
        candidates=list(platform.settings.active_models),
        actor=config.actor,
        reason=config.reason,
        automatic=config.automatic,
        accept_undecided=config.accept_undecided,
        overrides=overrides_of(
            config.override_freeze, config.reason if config.allow_shrink else ""
        ),
    )
    for outcome in outcomes:
        context.log.info(f"{outcome.backend}: {outcome.describe()}")
    return {
        outcome.backend: {
            "moved": outcome.moved,
            "waits": outcome.waits,
            "refused": outcome.refused,
            "request": outcome.request_id,
            "summary": outcome.describe(),
        }
        for outcome in outcomes
    }


@one_op_job("show_op")
def show_releases(
    context: dg.OpExecutionContext, config: ShowConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Open release requests, or one of any state.

    What each waits for, and the report of its gates.
    """
    known = ReleaseRequests(platform.lake)
    asked = config.request_id
    found = known.parts(asked) if asked else [one for one in known.all() if one.open]
    reconciled = [
        Reconciled(one, kept_report(platform.lake, one, platform.settings.releases), False)
        for one in found
    ]
    if not found:
        context.log.info("no release request is open")
    return _told(context, platform.lake, reconciled)


@one_op_job("approve_op", pool="promote")
def approve_release(
    context: dg.OpExecutionContext, config: ApproveConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Approve a release request."""
    overrides = overrides_of(config.override_freeze, config.reason if config.allow_shrink else "")
    reconciled = []
    for part, service in _parts(platform, config.request_id, context.run_id):
        for what, why in overrides.items():
            service.override(part, what, actor=config.actor, reason=why)
        reconciled.append(service.approve(part, actor=config.actor, reason=config.reason))
    return _told(context, platform.lake, reconciled)


@one_op_job("reject_op", pool="promote")
def reject_release(
    context: dg.OpExecutionContext, config: RejectConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Reject a release request, or withdraw your own."""
    reconciled = [
        service.reject(part, actor=config.actor, reason=config.reason)
        for part, service in _parts(platform, config.request_id, context.run_id)
    ]
    return _told(context, platform.lake, reconciled)


@one_op_job("reconcile_op", pool="promote", tags=TRIED_AGAIN)
def reconcile_releases(
    context: dg.OpExecutionContext, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Measure open release requests anew where the lake has moved on.

    Those that nothing is in the way of any more are released.
    """
    reconciled: list[Reconciled] = []
    for backend in platform.settings.indexes.backends:
        reconciled += platform.release_service(backend, run_id=context.run_id).reconcile_open()
    return _told(context, platform.lake, reconciled)


# In no pool: a rollback must not wait in the queue behind what it takes back.
@one_op_job("rollback_op")
def roll_back(
    context: dg.OpExecutionContext, config: RollbackConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, Any]:
    """Make an earlier generation live again; without a name, the one before the newest.

    A run that is repeated completes what an earlier one has left.
    """
    outcomes = go_back(
        _release_services(context, platform, config.backends),
        actor=config.actor,
        reason=config.reason,
        allow_shrink=config.allow_shrink,
        to=config.to or None,
        before=config.before or None,
    )
    for outcome in outcomes:
        context.log.info(f"{outcome.backend}: {outcome.describe()}")
    return {
        outcome.backend: {**outcome.facts(), "summary": outcome.describe()} for outcome in outcomes
    }


@one_op_job("monitor_op", pool="promote", tags=TRIED_AGAIN)
def monitor_releases(
    context: dg.OpExecutionContext, config: MonitorConfig, platform: dg.ResourceParam[Platform]
) -> dict[str, str]:
    """Monitor releases in their bake period.

    The live and the previous generation are asked the same queries. When the live one is out
    of its band, readers go back.
    """
    seen: dict[str, str] = {}
    for backend in chosen_backends(platform.settings, config.backends):
        found = monitor_live(platform.release_service(backend, run_id=context.run_id))
        if found is not None:
            seen[backend] = f"{found.action}: {found.why}"
            context.log.info(f"{backend}: {seen[backend]}")
    return seen


# What people launch.
RELEASE_JOBS = (promote, show_releases, approve_release, reject_release, roll_back)


def _release_services(
    context: dg.OpExecutionContext, platform: Platform, asked: list[str]
) -> list[ReleaseService]:
    return [
        platform.release_service(backend, run_id=context.run_id, progress=context.log.info)
        for backend in chosen_backends(platform.settings, asked)
    ]


def _parts(
    platform: Platform, request_id: str, run_id: str
) -> Iterator[tuple[str, ReleaseService]]:
    """The parts of a request, each with its release service; of several, those that are open."""
    parts = ReleaseRequests(platform.lake).parts(request_id)
    for part in [one for one in parts if one.open] or parts:
        service = platform.release_service(part.backend, run_id=run_id)
        yield part.request_id, service


def _told(
    context: dg.OpExecutionContext, lake: Lake, reconciled: Sequence[Reconciled]
) -> dict[str, Any]:
    """Say what became of requests, with the reports of their gates in the UI; facts by request."""
    for one in reconciled:
        context.log.info(one.describe())
    context.add_output_metadata(
        {
            one.request.request_id: dg.MetadataValue.md(
                as_markdown(one.report, names_of(lake, one.report.evidence.changed))
            )
            for one in reconciled
            if one.report is not None
        }
    )
    return {one.request.request_id: one.facts() for one in reconciled}
