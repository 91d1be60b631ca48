"""The look before a run that the daemon or the UI has started.

Belongs here: which parts of a deployment a run touches. What is wrong with a part is told by
`preflight.py`, and a source by the step that lands it, since one stops no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import dagster as dg

from vector_platform.orchestration import keys
from vector_platform.orchestration.runs import retries
from vector_platform.preflight import Part, WouldFail, look_at_parts
from vector_platform.wiring import Platform

PARTITION_TAG = "dagster/partition"


def require_sound(platform: Platform, run: dg.DagsterRun) -> None:
    """Look at what a run touches, and at what may pass by itself again as often as a step is tried.

    Raises:
        WouldFail: It would fail, now or after hours of work; all problems at once.
    """
    platform.follow_local_versions()
    wanted = parts_of(platform, run)
    for attempt in range(retries.RETRIES + 1):
        found = look_at_parts(platform, wanted)
        if not found.problems:
            return
        if attempt == retries.RETRIES or not all(one.passing for one in found.problems):
            raise WouldFail("this run", found.problems)
        time.sleep(retries.RETRY_SECONDS)


def parts_of(platform: Platform, run: dg.DagsterRun) -> Callable[[Part], bool]:
    """Which parts of the deployment a run touches.

    Jobs of ops say themselves what they need: a rollback on one backend must not wait for another.
    """
    settings = platform.settings
    selected = run.asset_selection or frozenset()
    parts: set[Part] = {("data",), ("lake",)}
    if keys.placed(keys.CHUNKS, settings) in selected:
        parts.add(("chunking",))
    if keys.placed(keys.EMBEDDINGS, settings) in selected:
        partition = run.tags.get(PARTITION_TAG)
        parts |= {("models", name) for name in settings.active_models if partition in (None, name)}
    parts |= {
        ("indexes", name)
        for name in settings.indexes.backends
        if keys.index(name, settings) in selected
    }
    return parts.__contains__
