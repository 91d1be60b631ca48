"""When assets run by themselves: named conditions, each with its reason.

Belongs here: automation conditions. Each condition is tested by ticking it on an ephemeral
instance, never by looking at its tree.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from vector_platform.orchestration.dagster_internals import AndAutomationCondition
from vector_platform.settings import Settings

# Dagster types its own conditions for assets and checks alike; ours are put on assets only.
Condition = dg.AutomationCondition[Any]

# Dagster tags the runs that conditions ask for with this.
_ASKED_FOR = "dagster/from_automation_condition"


def follow_sources(settings: Settings) -> Condition:
    """Run when any day of any source has landed, and once a night.

    Without the guard against missing dependencies: most days of a daily source are missing for
    ever (before the first run, on idle days), so the guard would never let go. Sources land when
    they like, also while a run is reading them.
    """
    none_missing = ~dg.AutomationCondition.any_deps_missing()
    changed = _changed(while_running=True).without(none_missing)
    swept: Condition = _night(settings) & ~dg.AutomationCondition.in_progress()
    return swept | changed


def follow_corpus(settings: Settings) -> Condition:
    """Run when the upstream stage has changed and none of its blocking checks failed."""
    return (_changed() | nightly_sweep(settings)) & _contract_holds()


def follow_chunks(settings: Settings) -> Condition:
    """`follow_corpus` for models: chunks committed while one is embedding, for hours, count too."""
    return (_changed(while_running=True) | nightly_sweep(settings)) & _contract_holds()


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


def _changed(*, while_running: bool = False) -> AndAutomationCondition[Any]:
    """`eager`, which forgets an update that comes too soon, with a memory.

    `eager` takes as handled whatever came since the tick before the asset was requested or
    updated. So a source that lands half a minute after another would wait for the night. Here a
    request, or an update of the asset, handles only what came before it.

    Args:
        while_running: Also follow what came while the run that a condition asked for was working:
            it may have read what was there at its start. Updates by other runs (a person's, the
            command line's) are taken as having read everything. Only for assets whose upstream
            has no model versions: of two partitions updated between two ticks, Dagster knows the
            run of one, and would run the other again.
    """
    changed = dg.AutomationCondition.any_deps_updated()
    requested = dg.AutomationCondition.newly_requested() & ~changed
    upstream_is_newer = dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.newly_updated()
    ).since(dg.AutomationCondition.newly_updated())
    updated: Condition = dg.AutomationCondition.newly_updated() & ~upstream_is_newer
    if while_running:
        updated &= ~dg.AutomationCondition.any_new_update_has_run_tags(tag_keys={_ASKED_FOR})
    handled = requested | updated | dg.AutomationCondition.initial_evaluation()
    with_memory = dg.AutomationCondition.eager().replace("handled", handled.with_label("handled"))
    assert isinstance(with_memory, AndAutomationCondition)
    return with_memory


def _contract_holds() -> Condition:
    return dg.AutomationCondition.all_deps_blocking_checks_passed()


def _night(settings: Settings) -> Condition:
    """The nightly tick has passed since the asset was last requested or updated."""
    schedules = settings.schedules
    tick = dg.AutomationCondition.cron_tick_passed(schedules.sweep_nightly, schedules.timezone)
    return tick.since(
        dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
    )
