"""Landing against a naive model: whatever the sources do, the lake ends up holding their state."""

from __future__ import annotations

import json
import tempfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vector_platform.lake.lake import Lake
from vector_platform_tests.sources.landings import (
    INCREMENTAL,
    Found,
    day,
    land_rows,
    newest,
    rejects,
    versions,
)
from vector_platform_tests.tiers import examples

KEYS = st.sampled_from("abcde")
TEXTS = st.sampled_from(["one", "two", "three"])
# A source's state: key -> text; None is a row that is there but bad.
STATES = st.dictionaries(KEYS, st.one_of(TEXTS, st.none()), max_size=5)


def texts(lake: Lake) -> dict[str, str]:
    return {key: json.loads(row["payload"])["text"] for key, row in newest(lake).items()}


@examples(4)
@given(st.lists(st.tuples(STATES, st.integers(1, 3)), min_size=1, max_size=5))
def test_a_compared_source_is_mirrored_and_bad_rows_keep_their_last_good_version(
    steps: list[tuple[dict[str, str | None], int]],
) -> None:
    model: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for state, number in steps:
            rows: list[Found] = [{"id": key, "text": text} for key, text in state.items()]
            report = land_rows(lake, rows, on=day(number))
            bad = {key for key, text in state.items() if text is None}
            model = {key: text for key, text in model.items() if key in bad} | {
                key: text for key, text in state.items() if text is not None
            }
            assert texts(lake) == model
            assert report.rejected == len(rejects(lake, day(number))) == len(bad)
            settled = versions(lake)
            assert not land_rows(lake, rows, on=day(number)).wrote
            assert versions(lake) == settled


PUT = st.tuples(st.just("put"), KEYS, st.integers(1, 4), TEXTS)
LAND = st.tuples(st.just("land"), st.integers(1, 4))


@examples(4)
@given(st.lists(st.one_of(PUT, PUT, LAND), max_size=10))
def test_an_incremental_source_is_mirrored_whatever_day_lands_when(steps: list[Any]) -> None:
    source: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        landed: set[int] = set()

        def land_day(number: int) -> bool:
            landed.add(number)
            rows: list[Found] = list(source.values())
            return land_rows(lake, rows, on=day(number), fields=INCREMENTAL).wrote

        for step in steps:
            if step[0] == "land":
                land_day(step[1])
                seen = {key: json.loads(row["payload"]) for key, row in newest(lake).items()}
                due = {
                    key: row
                    for key, row in source.items()
                    if (number := int(row["at"][-2:])) in landed and number <= step[1]
                }
                assert {key: seen.get(key) for key in due} == due
            else:
                _, key, number, text = step
                # A row's event time never goes back; what is late is a row that was not there.
                if key not in source or source[key]["at"] <= f"2026-11-{number:02d}":
                    source[key] = {"id": key, "text": text, "at": f"2026-11-{number:02d}"}
        for number in (1, 2, 3, 4):
            land_day(number)
        assert texts(lake) == {key: row["text"] for key, row in source.items()}
        settled = versions(lake)
        assert not any(land_day(number) for number in (1, 2, 3, 4))
        assert versions(lake) == settled
