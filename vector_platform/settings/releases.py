"""`releases`: what must hold before readers see another generation, and who has a say.

Belongs here: margins, approvers, freezes, the bake period.
"""

from __future__ import annotations

from datetime import date, time
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from vector_platform.settings.base import Section


class FreezeWindow(Section):
    """When nothing is released: a moment is frozen when it meets every condition given here.

    Times are of the wall clock in `releases.timezone`. A window whose `until_time` is not after
    its `from_time` runs over midnight and belongs to the day on which it begins.
    """

    name: str
    first_day: date | None = None
    last_day: date | None = Field(default=None, description="Included.")
    weekdays: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = []
    from_time: time | None = None
    until_time: time | None = Field(default=None, description="Not included.")

    @model_validator(mode="after")
    def _says_when(self) -> FreezeWindow:
        days = (self.first_day, self.last_day, self.from_time)
        if not self.weekdays and all(condition is None for condition in days):
            raise ValueError("give days, weekdays or times; else everything would be frozen")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        if (self.from_time is None) != (self.until_time is None):
            raise ValueError("from_time and until_time go together")
        return self


class Releases(Section):
    """What must hold before readers see another generation, who has a say, and what is kept."""

    keep_generations: int = Field(
        default=1, ge=1, description="So many that were live before the one that is."
    )
    keep_days: int = Field(
        default=0, ge=0, description="And every one that was live within so many days."
    )
    approvers: list[str] = Field(
        default=[],
        description="Who may approve a release; without a name, anybody but who asked.",
    )
    approvals: int = Field(
        default=1,
        ge=1,
        le=2,
        description="Approvals of a new model, another index spec, or the first release.",
    )
    quality_margin: float = Field(default=0.02, gt=0, lt=1)
    slice_margin: float = Field(default=0.05, gt=0, lt=1)
    max_latency_ratio: float = Field(default=2.0, ge=1)
    evidence_hours: float = Field(default=24.0, gt=0)
    request_days: int = Field(default=14, ge=1)
    timezone: str = "UTC"
    freezes: list[FreezeWindow] = []
    bake_minutes: int = Field(default=60, ge=0, description="0: no monitoring after a release.")
    monitor_every_minutes: int = Field(default=10, ge=1)
    monitor_max_errors: float = Field(default=0.02, ge=0, le=1)

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not a time zone like Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _enough_approvers(self) -> Releases:
        if len(set(self.approvers)) != len(self.approvers):
            raise ValueError("a name is given twice in approvers")
        if self.approvers and len(self.approvers) < self.approvals:
            raise ValueError(f"{self.approvals} approvals need as many approvers")
        return self
