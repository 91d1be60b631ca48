"""Story 1: the topic of the stream moves, for one team.

The alarm comes on the right day and names the team. The index has lost recall on what is new, which
explains the alarm: it is rebuilt first. The moved distribution is accepted when all else holds and
it has lasted for the four weeks that a reference needs.
"""

from __future__ import annotations

from vector_platform.demo.story import (
    DRIFT,
    GOLDEN,
    NEW_A_DAY,
    NEW_LATER,
    RECALL,
    Story,
    cells,
    land,
    of,
    recall_is_lost_and_rebuilt,
)
from vector_platform.demo.stream import NEW_TEAM, Day, Stream
from vector_platform.demo.watcher import Watcher
from vector_platform.demo.world import World
from vector_platform.quality.retrieval.golden_proposals import GoldenProposals

REFERENCE_DAYS = 60
# Days after them on which nothing happens, so that the time line shows what quiet looks like.
QUIET_DAYS = 10
GOLDEN_QUERIES = 300
# With the day of the move, the fewest that can be a reference without any from before it.
DAYS_AFTER = 27


def _prepare_days(world: World, stream: Stream) -> None:
    days = list(stream.days(REFERENCE_DAYS + QUIET_DAYS))
    tickets = [ticket for day in days for ticket in day.tickets]
    world.land("reference", tickets)
    world.ask(tickets[:: len(tickets) // GOLDEN_QUERIES])


def _topic_moves(world: World, watcher: Watcher, stream: Stream) -> None:
    (quiet,) = stream.days(1)
    since = land(world, watcher, quiet, "a day like the others")
    calm = watcher.check(DRIFT, f"{quiet.date} is judged", since=since, where=of(quiet))
    watcher.expect(calm.passed is True, f"no alarm on {quiet.date}")
    watcher.check(RECALL, "recall is measured", since=since, where=lambda found: bool(found.passed))
    watcher.rest()

    (moved,) = stream.days(1, new=NEW_A_DAY)
    since = land(world, watcher, moved, f"team {NEW_TEAM} turns to something new")
    alarm = watcher.check(DRIFT, f"{moved.date} is judged", since=since, where=of(moved))
    teams = [one["tenant"] for one in alarm.facts["slices_alarmed"]]
    watcher.expect(alarm.passed is False, f"an alarm on {moved.date}")
    watcher.expect(bool(alarm.facts["acts"]), "an alarm that is large enough to act on")
    watcher.expect(teams == [NEW_TEAM], f"the alarm names team {NEW_TEAM} only, not {teams}")
    recall_is_lost_and_rebuilt(world, watcher, since)
    watcher.rest()

    days = list(stream.days(DAYS_AFTER, new=NEW_LATER))
    after = Day(days[-1].date, tuple(ticket for day in days for ticket in day.tickets))
    since = land(world, watcher, after, "four weeks in which the new topic stays")
    watcher.check(RECALL, "recall is back", since=since, where=lambda found: bool(found.passed))
    watcher.decision(
        "act",
        "the moved distribution is accepted, now that the index is faithful",
        since=since,
        where=lambda found: found.actor == "recalibrate_on_drift",
    )
    # A day that lands while it is being accepted would be among the days that are.
    watcher.decision("recalibrate", "it is the reference", since=since)
    proposed = GoldenProposals(watcher.lake, run_id="demo").all()
    watcher.expect(
        {one.tenant for one in proposed} == {NEW_TEAM}, f"queries are proposed for {NEW_TEAM} only"
    )
    watcher.tell(f"{len(proposed)} golden queries are proposed, such as {proposed[0].text[:60]!r}")
    watcher.rest()

    (last,) = stream.days(1, new=NEW_LATER)
    since = land(world, watcher, last, "one more day of it")
    known = watcher.check(DRIFT, f"{last.date} is judged", since=since, where=of(last))
    watcher.expect(known.passed is True, f"what is known by now is no alarm on {last.date}")
    watcher.expect(known.facts["reference"] == 2, "judged by the second reference")


TOPIC_MOVES = Story(
    "the topic of the stream moves",
    {
        "indexes": {"milvus": cells(6)},
        "quality": {
            "drift_reference_days": REFERENCE_DAYS,
            # A team writes less a day than the default asks for.
            "drift_min_rows": 15,
            "recall_floor": 0.8,
        },
        "golden_queries": GOLDEN,
        "acting": {"accept_reference": {"by": "auto", "cooldown_hours": 0}},
        "releases": {"bake_minutes": 0},
    },
    _prepare_days,
    _topic_moves,
)
