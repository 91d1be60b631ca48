"""Following a story: what happened and what was decided, as a time line, and waiting for it.

Belongs here: turning records into lines, waits with an end, and the error that says what is
missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from vector_platform.demo.world import World
from vector_platform.errors import VectorPlatformError
from vector_platform.lake.decisions import Decision, Decisions
from vector_platform.lake.lake import Lake
from vector_platform.orchestration.runs.history import Happening, History
from vector_platform.remediation.checks import CANARY, DRIFT, RECALL

# A wait ends after this: on two idle cores the longest takes a tenth of it.
PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 1.0

Say = Callable[[str], None]
Found = TypeVar("Found")


class StoryIncomplete(VectorPlatformError):
    """A story did not reach its end; the message says what was missing."""


@dataclass(frozen=True)
class Chapter:
    """Where a story stood at some moment, so that it can be asked for what came after."""

    happenings: int
    decisions: int


class Watcher:
    """Follows what the platform does in a world.

    Args:
        world: The world of the story.
        say: Prints a line of the time line.
    """

    def __init__(self, world: World, say: Say) -> None:
        self._world = world
        self._say = say
        self._history = History(world.settings)
        self.lake = Lake(world.settings.lake_uri)
        self._started = time.monotonic()
        self.happenings: list[Happening] = []
        self.decisions: list[Decision] = Decisions(self.lake, run_id="").about()
        self._decisions_version = self.lake.decisions.version()

    def close(self) -> None:
        """Let go of the records."""
        self._history.close()

    def now(self) -> Chapter:
        """This moment."""
        return Chapter(len(self.happenings), len(self.decisions))

    def tell(self, line: str) -> None:
        """Print a line with the time since the daemon was started."""
        self._say(f"[{time.monotonic() - self._started:5.0f} s] {line}")

    def check(
        self,
        name: str,
        what: str,
        *,
        since: Chapter,
        where: Callable[[Happening], bool] = lambda found: True,
    ) -> Happening:
        """Wait for an evaluation of a check.

        Args:
            name: `asset:check`.
            what: The expectation in words, for the error.
            since: Only what came after.
            where: What else must hold.
        """
        return self.until(
            what,
            lambda: next(
                (
                    found
                    for found in self.happenings[since.happenings :]
                    if found.kind == "check" and found.name == name and where(found)
                ),
                None,
            ),
        )

    def decision(
        self,
        what: str,
        expected: str,
        *,
        since: Chapter,
        where: Callable[[Decision], bool] = lambda found: True,
    ) -> Decision:
        """Wait for a decision of a kind."""
        return self.until(
            expected,
            lambda: next(
                (
                    found
                    for found in self.decisions[since.decisions :]
                    if found.what == what and where(found)
                ),
                None,
            ),
        )

    def until(self, what: str, look: Callable[[], Found | None]) -> Found:
        """Look until something is there.

        Raises:
            StoryIncomplete: It did not come in time.
            DaemonDied: Nothing can come any more.
        """
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            self._follow()
            found = look()
            if found is not None:
                return found
            self._world.check_daemon()
            if time.monotonic() > ends:
                raise StoryIncomplete(self._missing(what))
            time.sleep(LOOK_SECONDS)

    def rest(self) -> None:
        """Wait until no run is left."""
        self.until("all runs end", lambda: None if self._history.running() else True)

    def expect(self, holds: bool, what: str) -> None:
        """Hold the story to something that must be so now.

        Raises:
            StoryIncomplete: It is not.
        """
        if not holds:
            raise StoryIncomplete(self._missing(what))

    def _follow(self) -> None:
        news = self._history.new()
        self.happenings += news
        for found in news:
            for line in lines_of(found):
                self.tell(line)
        version = self.lake.decisions.version()
        if version != self._decisions_version:
            self._decisions_version = version
            known = {decision.decision_id for decision in self.decisions}
            for decision in Decisions(self.lake, run_id="").about():
                if decision.decision_id not in known:
                    self.decisions.append(decision)
                    self.tell(line_of(decision))

    def _missing(self, what: str) -> str:
        last = "".join(
            f"\n  {found.kind} {found.name}: {found.passed}" for found in self.happenings[-8:]
        )
        running = ", ".join(self._history.running()) or "nothing"
        return (
            f"missing: {what}\nrunning: {running}; the last that happened:{last or ' nothing'}\n"
            f"The deployment is in {self._world.folder}; its daemon.log and its runs say more."
        )


# Words of the record as verbs.
_VERBS = {"act": "acts on", "suppress": "leaves", "request": "asks for", "release": "releases"}


def lines_of(found: Happening) -> Iterator[str]:
    """Lines of the time line; what only repeats that all is well is left out."""
    facts = found.facts
    if found.kind == "run" and found.passed is False:
        yield f"    run of {found.name} failed"
    elif found.kind == "run" and found.passed is None and found.by:
        yield f"    run of {found.name} starts: {found.by}"
    elif found.kind == "asset" and found.name.startswith("raw/") and facts.get("inserted"):
        yield f"    {found.name}: {facts['inserted']} rows landed"
    elif found.kind == "asset" and found.name == "lake/embeddings" and facts.get("texts"):
        yield f"    lake/embeddings: {facts['texts']} texts embedded"
    elif found.kind == "check":
        yield from _check_lines(found)


def _check_lines(found: Happening) -> Iterator[str]:
    facts = found.facts
    name = found.name.partition(":")[2]
    verdict = "holds" if found.passed else "FAILS"
    if name == DRIFT and facts.get("threshold"):
        yield (
            f"    {name} {verdict}: {facts['day']}, score {facts['statistic']:.1f} of "
            f"{facts['threshold']:.1f}, novel share at least {facts['novel_share_low']:.0%}"
            + ("; " + _slices(facts["slices_alarmed"]) if facts["slices_alarmed"] else "")
        )
    elif name == RECALL:
        yield (
            f"    {name} {verdict}: {facts['recall']:.3f} in all; worst slice "
            f"'{facts['worst_slice']}' {facts['worst_recall']:.3f}, floor {facts['floor']}"
        )
    elif name == CANARY:
        yield (
            f"    {name} {verdict}: {facts['canaries_differing']} of {facts['canaries']} canaries "
            f"differ, by up to {facts['max_abs_difference']:.2g}"
        )
    elif not found.passed:
        yield f"    {name} FAILS"


def _slices(alarmed: list[dict[str, Any]]) -> str:
    return "moved: " + ", ".join(f"team {one['tenant']}" for one in alarmed)


def line_of(decision: Decision) -> str:
    """A decision as a line."""
    why = decision.why.removeprefix(f"{decision.subject}: ")
    did = _VERBS.get(decision.what, decision.what)
    return f"  > {decision.actor} {did} {decision.subject}: {why}"
