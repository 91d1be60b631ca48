"""`quality` and `acting`: the bars of the checks, and what may start by itself when one fails.

Belongs here: bars, cooldowns and budgets.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vector_platform.settings.base import Section


class Quality(Section):
    """Bars of the checks."""

    drift_false_alarms_a_year: float = Field(
        default=0.01, gt=0, lt=0.5, description="Chance of any false drift alarm in a year."
    )
    drift_false_discovery_rate: float = Field(
        default=0.05, gt=0, lt=0.5, description="Share of alarming slices that may be false."
    )
    drift_least_novel_share: float = Field(
        default=0.05, ge=0, lt=1, description="Share of new content from which an alarm acts."
    )
    drift_reference_days: int = Field(
        default=56, ge=28, description="Days of the first reference; the most of a later one."
    )
    drift_min_rows: int = Field(default=50, ge=10)
    evaluation_metric: Literal["nDCG@10", "R@10", "RR@10"] = "nDCG@10"
    recall_floor: float = Field(default=0.90, gt=0, lt=1)
    max_reject_share: float = Field(default=0.05, ge=0, le=1)


class ActionPolicy(Section):
    """When one kind of action may start by itself, counted for each fault, model and index."""

    by: Literal["auto", "person"] = "auto"
    cooldown_hours: float = Field(default=24, ge=0)
    monthly_budget: int = Field(default=4, ge=0, description="Runs within 30 days.")


class Acting(Section):
    """What the sensors may start when checks fail; see "What happens when a check fails"."""

    repair: ActionPolicy = ActionPolicy(cooldown_hours=1, monthly_budget=60)
    rebuild: ActionPolicy = ActionPolicy(cooldown_hours=24, monthly_budget=8)
    retrain: ActionPolicy = ActionPolicy(cooldown_hours=168, monthly_budget=2)
    propose_version: ActionPolicy = ActionPolicy(cooldown_hours=168, monthly_budget=2)
    accept_reference: ActionPolicy = ActionPolicy(by="person", cooldown_hours=168, monthly_budget=4)
    quarantine_slice: ActionPolicy = ActionPolicy(by="person", cooldown_hours=24, monthly_budget=4)
    max_attempts: int = Field(default=3, ge=1, le=10)
    retry_minutes: float = Field(default=15, ge=0)
    max_deleted_share: float = Field(default=0.3, gt=0, le=1)
    max_p95_latency_ms: float | None = Field(default=None, gt=0)
