"""Which days are accepted: those since the stream moved, as many as there are, up to a limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.quality.drift.acceptance import NothingMoved, days_to_accept
from vector_platform.quality.drift.calibration import NotEnoughDays
from vector_platform.quality.drift.policy import DriftPolicy
from vector_platform.quality.drift.verdict import DriftVerdict, judge_drift
from vector_platform.quality.drift.window_test import Looks
from vector_platform.quality.sketches.days import WEEK
from vector_platform_tests.lake.building import MODEL, open_lake
from vector_platform_tests.quality.streams import EPOCH, Stream, date_of, mixed, sketch, vectors

POLICY = DriftPolicy(min_rows=20)
REFERENCE_DAYS, QUIET_DAYS, A_DAY = 28, 3, 60
MOVED = REFERENCE_DAYS + QUIET_DAYS


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """A stream that was quiet, and from day `MOVED` on is to a half about something new."""
    made = Stream(open_lake(tmp_path_factory.mktemp("moved")))
    made.add_days({day: vectors(made.rng, A_DAY) for day in range(MOVED)})
    return made


def judged(stream: Stream) -> DriftVerdict:
    sketch(stream.lake, REFERENCE_DAYS)
    return judge_drift(stream.lake, MODEL, POLICY)


def test_a_quiet_stream_has_nothing_to_accept_and_a_moved_one_only_what_came_since(
    stream: Stream,
) -> None:
    quiet = judged(stream)
    assert (quiet.moved_since, quiet.days_missing) == (None, 0)
    with pytest.raises(NothingMoved, match="--from DAY --to DAY"):
        days_to_accept(stream.lake, MODEL, quiet, limit=56)

    since = range(MOVED, MOVED + 27)
    stream.add_days({day: mixed(stream.rng, A_DAY, 0.5) for day in since})
    moved = judged(stream)
    assert (moved.moved_since, moved.days_missing) == (date_of(MOVED), 1)
    with pytest.raises(NotEnoughDays, match=rf"moved on {date_of(MOVED)}, and 27 day\(s\)"):
        days_to_accept(stream.lake, MODEL, moved, limit=56)

    stream.add_days({MOVED + 27 + day: mixed(stream.rng, A_DAY, 0.5) for day in range(5)})
    moved = judged(stream)
    newest = date_of(MOVED + 31)
    assert moved.days_missing == 0
    assert days_to_accept(stream.lake, MODEL, moved, limit=56) == (date_of(MOVED), newest)
    assert days_to_accept(stream.lake, MODEL, moved, limit=30) == (date_of(MOVED + 2), newest)


def test_without_a_reference_the_newest_days_are_accepted(tmp_path: Path) -> None:
    made = Stream(open_lake(tmp_path))
    made.add_days({day: vectors(made.rng, 1) for day in range(27)})
    unjudged = judge_drift(made.lake, MODEL, POLICY)
    with pytest.raises(NotEnoughDays, match=r"27 day\(s\) have chunks; a reference needs 28"):
        days_to_accept(made.lake, MODEL, unjudged, limit=56)
    made.add_days({day: vectors(made.rng, 1) for day in range(27, 40)})
    assert days_to_accept(made.lake, MODEL, unjudged, limit=30) == (date_of(10), date_of(39))


# -- since when -----------------------------------------------------------------------------

START = (date_of(0) - EPOCH).days
ALARM = DriftVerdict("drifted", "e", POLICY, global_alarm=True, threshold=7.0)


def seen(alarmed: list[bool]) -> DriftVerdict:
    """A verdict on consecutive days of which some alarmed."""
    scores = np.where(alarmed, 8.0, 6.0)[:, None]
    days = START + np.arange(len(alarmed))
    return replace(ALARM, looks=Looks(days, (1,), np.ones_like(scores), scores, scores.astype(int)))


@pytest.mark.parametrize(
    ("pause", "since"), [(WEEK - 1, 10), (WEEK, 10 + 3 + WEEK)], ids=["one alarm", "another one"]
)
def test_an_alarm_that_pauses_for_less_than_a_week_is_one(pause: int, since: int) -> None:
    days = [False] * 10 + [True] * 3 + [False] * pause + [True] * 2
    assert seen(days).moved_since == date_of(since)


@given(st.lists(st.booleans(), min_size=1, max_size=90))
def test_the_move_is_an_alarm_after_a_quiet_week_and_no_quiet_week_follows(
    alarmed: list[bool],
) -> None:
    days = [*alarmed, True]
    since = seen(days).moved_since
    assert since is not None
    at = (since - date_of(0)) // timedelta(days=1)
    assert days[at] and not any(days[max(0, at - WEEK) : at])
    quiet = [days[day : day + WEEK] for day in range(at, len(days) - WEEK + 1)]
    assert all(any(week) for week in quiet)
