"""What counts as drift, and from where an alarm acts: the bars that a deployment sets.

Belongs here: the bars, as plain values.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DriftPolicy:
    """What an alarm is, and what is done about one.

    Attributes:
        false_alarms_a_year: Chance of any false alarm of the whole stream in a year.
        false_discovery_rate: Of the slices that alarm, the share that may be false.
        least_novel_share: Share of the window that must be new before an alarm acts, of the whole
            stream or of a slice.
        min_rows: Rows below which a window is not judged.
    """

    false_alarms_a_year: float = 0.01
    false_discovery_rate: float = 0.05
    least_novel_share: float = 0.05
    min_rows: int = 50
