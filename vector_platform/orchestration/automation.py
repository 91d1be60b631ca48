"""When assets run by themselves: named conditions, each with its reason.

Belongs here: automation conditions. Does not belong here: sensors and schedules. Each condition
is tested by ticking it on an ephemeral instance, never by looking at its tree.
"""

from __future__ import annotations

import dagster as dg

from vector_platform.settings import Settings

Condition = dg.AutomationCondition[dg.AssetKey]

# Dagster tags the runs that conditions ask for with this.
_ASKED_FOR = "dagster/from_automation_condition"


def follow_sources(settings: Settings) -> Condition:
    """Run when any day of any source has landed, and once a night.

    Without the guard against missing dependencies: most days of a daily source are missing for
    ever (before the first run, on idle days), so the guard would never let go.
    """
    changed = _changed().without(~dg.AutomationCondition.any_deps_missing())
    return changed | (_night(settings) & ~dg.AutomationCondition.in_progress())


def follow_corpus(settings: Settings) -> Condition:
    """Run when the upstream stage has changed and none of its blocking checks failed."""
    gate = dg.AutomationCondition.all_deps_blocking_checks_passed()
    return (_changed() | nightly_sweep(settings)) & gate


def follow_embeddings(settings: Settings) -> Condition:
    """`follow_corpus` for what reads vectors, partition by partition.

    Here an own update is always taken as having read everything before it. When two model
    versions finish between two ticks, Dagster no longer knows that the vectors came with a run
    that also brought this asset up to date, and a memory would bring it up to date twice.
    """
    gate = dg.AutomationCondition.all_deps_blocking_checks_passed()
    return (_changed(partitioned_upstream=True) | nightly_sweep(settings)) & gate


def nightly_sweep(settings: Settings) -> Condition:
    """Run once a night, whatever the events say, as soon as what it reads has been swept.

    Every stage is driven by lake versions and does nothing when there is nothing to do, so a
    sweep costs seconds and closes every gap that a lost event or a failed run leaves. Stages wait
    for each other, so that the night goes down the data's way once and runs nothing twice.
    """
    schedules = settings.schedules
    upstream_is_swept = dg.AutomationCondition.all_deps_updated_since_cron(
        schedules.sweep_nightly, schedules.timezone
    )
    ready = ~dg.AutomationCondition.any_deps_missing() & ~dg.AutomationCondition.in_progress()
    return (_night(settings) & upstream_is_swept & ready).with_label("nightly_sweep")


def _changed(*, partitioned_upstream: bool = False) -> Condition:
    """`eager`, which forgets an update that comes too soon, with a memory.

    `eager` counts as handled whatever came since the tick before the asset was requested or
    updated. So a source that lands half a minute after another, or a commit made while a stage is
    running, would wait for the night. Here a request handles what came before it, and so does an
    update by another run than those the conditions ask for (a person's, the command line's).
    """
    changed = dg.AutomationCondition.any_deps_updated()
    requested = dg.AutomationCondition.newly_requested() & ~changed
    upstream_is_newer = dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.newly_updated()
    ).since(dg.AutomationCondition.newly_updated())
    updated = dg.AutomationCondition.newly_updated() & ~upstream_is_newer
    if not partitioned_upstream:
        updated &= ~dg.AutomationCondition.any_new_update_has_run_tags(tag_keys={_ASKED_FOR})
    handled = requested | updated | dg.AutomationCondition.initial_evaluation()
    return dg.AutomationCondition.eager().replace("handled", handled.with_label("handled"))


def _night(settings: Settings) -> Condition:
    """The nightly tick has passed since the asset was last requested or updated."""
    schedules = settings.schedules
    tick = dg.AutomationCondition.cron_tick_passed(schedules.sweep_nightly, schedules.timezone)
    return tick.since(
        dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
    )
