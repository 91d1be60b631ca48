"""The platform's definitions, of which only an arrival starts runs and only recovery is looked for.

Belongs here: what daemons of tests load. What follows an ingest has no part in recovery, and would
take its places and its time.
"""

from __future__ import annotations

import dagster as dg

from vector_platform.orchestration.build import build_definitions

SENSORS = {"land_what_arrives", "recover_lost_runs"}


def _watched() -> dg.Definitions:
    everything = build_definitions()
    return dg.Definitions(
        assets=everything.assets,
        asset_checks=everything.asset_checks,
        jobs=everything.jobs,
        sensors=[one for one in everything.sensors or () if one.name in SENSORS],
        resources=everything.resources,
        executor=everything.executor,
        loggers=everything.loggers,
    )


defs = _watched()
