"""Jobs that care for the Delta tables: compacting small files, deleting files nobody needs.

Belongs here: thin ops around the upkeep of `lake/tables.py`.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import dagster as dg

from vector_platform.orchestration.runs.jobs import JobConfig, one_op_job
from vector_platform.wiring import Platform


class VacuumConfig(JobConfig):
    """What is kept.

    Attributes:
        retention_hours: Files that are younger stay.
    """

    retention_hours: int = 168


@one_op_job("optimize")
def optimize_lake(platform: dg.ResourceParam[Platform]) -> dict[str, int]:
    """Compact small files of every table; files by table."""
    return platform.lake.optimize()


@one_op_job("vacuum")
def vacuum_lake(config: VacuumConfig, platform: dg.ResourceParam[Platform]) -> dict[str, int]:
    """Delete files nobody needs; snapshots that an index is built from stay readable."""
    return platform.lake.vacuum(config.retention_hours)
