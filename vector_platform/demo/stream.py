"""A stream of support tickets with event times: days that are drawn with a seed.

Belongs here: which tickets come on which day, and questions whose answer is known. Words and seed
decide every byte, on any machine and on whatever day the demo is played.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np
import yaml

# A Monday, long past: whenever the demo is played, its days are the same weekdays.
FIRST_DAY = date(2025, 3, 3)
NEW_TEAM, NEW_TOPIC = "plant", "reactor"
# How much the mix of topics wobbles from day to day: a Dirichlet of this concentration. A share of
# a quarter then has a standard deviation of .07, as measured on real streams.
CONCENTRATION = 40.0
SEED = 7
A_DAY = 18

Words = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Ticket:
    """One document of the stream.

    Attributes:
        key: Its key in the source.
        team: Its tenant.
        title: One line.
        text: A few sentences.
        question: What somebody would ask who needs this ticket.
        updated_at: When it was written.
    """

    key: str
    team: str
    title: str
    text: str
    question: str
    updated_at: datetime

    def row(self) -> dict[str, Any]:
        """The columns of the source."""
        return {
            "key": self.key,
            "team": self.team,
            "title": self.title,
            "text": self.text,
            "updated_at": self.updated_at.isoformat(),
        }


@dataclass(frozen=True)
class Day:
    """What one day brings."""

    date: date
    tickets: tuple[Ticket, ...]


class Stream:
    """Days of tickets; no ticket comes twice.

    Args:
        seed: Decides everything.
    """

    def __init__(self, seed: int = SEED) -> None:
        self._rng = np.random.default_rng(seed)
        self._next = FIRST_DAY
        self._left = {
            (team, topic): self._combinations(words)
            for team, topics in _topics().items()
            for topic, words in topics.items()
        }

    def days(self, count: int, *, a_day: int = A_DAY, new: int = 0) -> Iterator[Day]:
        """The next days.

        Args:
            count: How many.
            a_day: Usual tickets of each team, on each of them.
            new: Tickets about the new topic beside them.
        """
        usual = {team: list(topics) for team, topics in _topics().items() if team != "new"}
        for _ in range(count):
            day, self._next = self._next, self._next + timedelta(days=1)
            tickets = []
            for team, topics in usual.items():
                shares = self._rng.dirichlet(np.full(len(topics), CONCENTRATION / len(topics)))
                drawn = self._rng.choice(topics, a_day, p=shares)
                tickets += [self._ticket(team, team, str(topic), day) for topic in drawn]
            tickets += [self._ticket(NEW_TEAM, "new", NEW_TOPIC, day) for _ in range(new)]
            yield Day(day, tuple(tickets))

    def _ticket(self, team: str, kind: str, topic: str, day: date) -> Ticket:
        number, (thing, fault, cause, fix) = self._left[kind, topic].pop()
        second = int(self._rng.integers(24 * 3600))
        return Ticket(
            key=f"{topic}-{number:04d}",
            team=team,
            title=f"{topic}: {thing} {fault}",
            text=(
                f"A colleague reports that {thing} {fault}. It began when {cause}. "
                f"We looked at {thing} and found that {cause}. What helped: {fix}. "
                f"If {thing} {fault} again, {fix} first and tell the {topic} group."
            ),
            question=f"{thing} {fault} because {cause}, how do we {fix}?",
            updated_at=datetime.combine(day, time(), tzinfo=UTC) + timedelta(seconds=second),
        )

    def _combinations(self, words: Words) -> list[tuple[int, tuple[str, ...]]]:
        every = list(product(*(words[part] for part in ("things", "faults", "causes", "fixes"))))
        order = self._rng.permutation(len(every))
        return [(int(place), every[place]) for place in order]


@cache
def _topics() -> dict[str, dict[str, Words]]:
    """Team -> topic -> words."""
    text = (files("vector_platform.demo") / "topics.yaml").read_text(encoding="utf-8")
    topics: dict[str, dict[str, Words]] = yaml.safe_load(text)
    return topics
