"""When assets run by themselves: three named conditions, each with its reason.

Belongs here: automation conditions. Does not belong here: sensors and schedules. Each condition
is tested by ticking it on an ephemeral instance, never by looking at its tree.
"""

from __future__ import annotations

import dagster as dg

from vector_platform.settings import Settings

Condition = dg.AutomationCondition[dg.AssetKey]


def follow_sources() -> Condition:
    """Run when any day of any source has landed.

    `eager` without its guard against missing dependencies: most days of a daily source are
    missing for ever (before the first run, on idle days), so the guard would never let go.
    """
    return dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing())


def follow_corpus(settings: Settings) -> Condition:
    """Run when the upstream stage has changed and none of its blocking checks failed.

    `eager` can lose an update that arrives on the tick after a request, so the nightly sweep is
    part of the condition.
    """
    changed = dg.AutomationCondition.eager()
    gate = dg.AutomationCondition.all_deps_blocking_checks_passed()
    return (changed | nightly_sweep(settings)) & gate


def nightly_sweep(settings: Settings) -> Condition:
    """Run once a night, whatever the events say.

    Every stage is driven by lake versions and does nothing when there is nothing to do, so a
    sweep costs seconds and closes every gap that a lost event leaves.
    """
    ready = ~dg.AutomationCondition.any_deps_missing() & ~dg.AutomationCondition.in_progress()
    tick = dg.AutomationCondition.cron_tick_passed(
        settings.schedules.sweep_nightly, settings.schedules.timezone
    )
    since = tick.since(
        dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
    )
    return (since & ready).with_label("nightly_sweep")
