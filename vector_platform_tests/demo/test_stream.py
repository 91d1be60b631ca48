"""The days of the stories: the same on every machine, like each other, and new when they say so."""

from __future__ import annotations

from collections import Counter
from datetime import date

from vector_platform.demo.stream import A_DAY, NEW_TEAM, NEW_TOPIC, Stream


def test_the_same_seed_gives_the_same_days() -> None:
    assert list(Stream().days(3, new=2)) == list(Stream().days(3, new=2))
    assert list(Stream().days(1)) != list(Stream(seed=8).days(1))


def test_days_follow_each_other_and_no_ticket_comes_twice() -> None:
    stream = Stream()
    days = [*stream.days(60), *stream.days(3, new=40), *stream.days(3, a_day=54)]
    keys = [ticket.key for day in days for ticket in day.tickets]
    assert len(set(keys)) == len(keys)
    assert [(day.date - days[0].date).days for day in days] == list(range(len(days)))
    assert all(t.updated_at.date() == day.date for day in days for t in day.tickets)


def test_every_team_writes_every_day_and_the_new_topic_only_when_told() -> None:
    stream = Stream()
    (usual,), (moved,) = stream.days(1), stream.days(1, new=40)
    assert usual.date == date(2025, 3, 3)
    assert set(Counter(t.team for t in usual.tickets).values()) == {A_DAY}
    new = [t for t in moved.tickets if t.key.startswith(NEW_TOPIC)]
    assert len(new) == 40 and {t.team for t in new} == {NEW_TEAM}
    assert not any(t.key.startswith(NEW_TOPIC) for t in usual.tickets)
