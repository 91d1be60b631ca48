"""What makes the page of an asset or a check readable: rules for the metadata of every event.

Belongs here: the rules. Every run of the tests of orchestration is held to them (`conftest.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dagster as dg

from vector_platform.orchestration.showing import FIRST, NEXT, unfolded
from vector_platform.remediation.checks import CHECKS

MOST_KEYS = 15


def unreadable(events: Iterable[dg.DagsterEvent]) -> Iterator[str]:
    """What is wrong with the pages that these events make."""
    for event in events:
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            of = event.materialization
            if len(of.metadata) > MOST_KEYS:
                yield f"{of.asset_key.to_user_string()}: {len(of.metadata)} keys: {[*of.metadata]}"
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if found.check_name in CHECKS:
                yield from (f"{found.check_name}: {wrong}" for wrong in unreadable_check(found))


def unreadable_check(found: dg.AssetCheckEvaluation) -> Iterator[str]:
    """What is wrong with the page of one answer of a check of ours."""
    record = CHECKS[found.check_name]
    names = sorted(found.metadata)
    if len(names) > MOST_KEYS:
        yield f"{len(names)} keys: {names}"
    if names[:1] != [FIRST]:
        yield f"{names[:1]} comes first"
        return
    said, _, follows = str(found.metadata[FIRST].value).partition(NEXT)
    if not said.strip() or bool(follows.strip()) is found.passed:
        yield f"passed is {found.passed}, and it says {said!r}, next {follows!r}"
    numbers = {
        name
        for name, value in found.metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
    }
    if not numbers <= set(record.plots):
        yield f"plots {numbers - set(record.plots)}"
    is_warning = not found.passed and found.severity is dg.AssetCheckSeverity.WARN
    if record.undecided(unfolded(found.metadata)) and not is_warning:
        yield "cannot tell, and is not shown as a warning"
