"""What the platform needs of Dagster and Dagster does not publish: every such name, once.

Belongs here: imports from `dagster._*`, each with what it is for. No other file has one, which
`test_architecture.py` holds; a release of Dagster that moves one fails there by its name.
"""

from __future__ import annotations

# What `AutomationCondition.eager()` is, to take a part of it out.
from dagster._core.definitions.declarative_automation.operators import AndAutomationCondition

# The function of an op, which knows the class of its configuration.
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction

# What `define_asset_job` returns.
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

# Asking the history of checks for one partition.
from dagster._core.event_api import PartitionKeyFilter

# Why a run failed, as its tag says.
from dagster._core.events import RunFailureReason

# What a run launcher is given to start, and what it answers to the daemon's question whether the
# process of a run is there.
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus

# The queue of runs, and what it knows of the request that launched one.
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext

# One evaluation of a check, as the instance keeps it.
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

# Tags that Dagster puts on runs.
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTO_RETRY_RUN_ID_TAG,
    GRPC_INFO_TAG,
    MAX_RETRIES_TAG,
    RETRY_ON_ASSET_OR_OP_FAILURE_TAG,
    RUN_FAILURE_REASON_TAG,
    RUN_KEY_TAG,
    SENSOR_NAME_TAG,
    WILL_RETRY_TAG,
)

# The time that a tick is evaluated at; tests stop it.
from dagster._time import get_current_datetime

__all__ = [
    "ASSET_PARTITION_RANGE_END_TAG",
    "ASSET_PARTITION_RANGE_START_TAG",
    "AUTO_RETRY_RUN_ID_TAG",
    "GRPC_INFO_TAG",
    "MAX_RETRIES_TAG",
    "RETRY_ON_ASSET_OR_OP_FAILURE_TAG",
    "RUN_FAILURE_REASON_TAG",
    "RUN_KEY_TAG",
    "SENSOR_NAME_TAG",
    "WILL_RETRY_TAG",
    "AndAutomationCondition",
    "AssetCheckExecutionRecord",
    "CheckRunHealthResult",
    "DecoratedOpFunction",
    "LaunchRunContext",
    "PartitionKeyFilter",
    "QueuedRunCoordinator",
    "RunFailureReason",
    "SubmitRunContext",
    "UnresolvedAssetJobDefinition",
    "WorkerStatus",
    "get_current_datetime",
]
