"""What an asset of somebody else returns becomes documents, with lineage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from vector_platform.orchestration.ingest.assets import build_raw_assets
from vector_platform.settings import Settings
from vector_platform.sources.base import DayWindow, Reject, SourceInvalid, SourceRow
from vector_platform.sources.frames import FrameReader, NothingHandedOver
from vector_platform.wiring import NotConfigured, Platform
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import settings_of

DAY = "2026-01-09"
WINDOW = DayWindow(date(2026, 1, 9))
ROWS = [
    {"id": "t1", "body": "The key does not turn.", "urgent": True},
    {"id": "t2", "body": "The lamp is broken.", "urgent": False},
]
FRAMES: dict[str, Callable[[], object]] = {
    "pandas": lambda: pd.DataFrame(ROWS),
    "arrow": lambda: pa.Table.from_pylist(ROWS),
    "duckdb": lambda: duckdb.from_arrow(pa.Table.from_pylist(ROWS)),
    "rows": lambda: ROWS,
}

every_frame = pytest.mark.parametrize("make", list(FRAMES.values()), ids=list(FRAMES))


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    fields = {"key": "id", "text": "body", "attributes": ["urgent"]}
    sources = {
        "tickets": {"kind": "frame", "asset": "crm/tickets", "fields": fields},
        "notes": {"kind": "frame", "fields": {"key": "id", "text": "body"}},
    }
    platform = Platform(settings_of(tmp_path, sources=sources, golden_queries={}))
    platform.lake = building.open_lake(tmp_path / "lake")
    return platform


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def upstream(make: Callable[[], object]) -> dg.AssetsDefinition:
    @dg.asset(key=["crm", "tickets"])
    def tickets() -> Any:
        return make()

    return tickets


def raw(settings: Settings, name: str) -> dg.AssetsDefinition:
    return next(one for one in build_raw_assets(settings) if one.key.path[-1] == name)


@every_frame
def test_what_an_asset_returns_lands_and_says_whose_it_is(
    make: Callable[[], object], platform: Platform, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    tickets = raw(platform.settings, "tickets")
    resources = {"platform": platform, "io_manager": dg.mem_io_manager}
    for landed in (2, 0):
        done = dg.materialize(
            [upstream(make), tickets], partition_key=DAY, instance=instance, resources=resources
        )
        (made,) = done.asset_materializations_for_node("raw__tickets")
        assert made.metadata["inserted"].value == landed
        assert made.metadata["rejected"].value == 0
    rows = platform.lake.raw("tickets").read().to_pylist()
    assert {row["uri"] for row in rows} == {"asset:crm/tickets"}
    assert sorted(row["key"] for row in rows) == ["t1", "t2"]


def test_the_raw_asset_follows_the_asset_that_it_reads(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    tickets, notes = (raw(platform.settings, name) for name in ("tickets", "notes"))
    made = upstream(lambda: ROWS)
    definitions = dg.Definitions([made, tickets, notes], resources={"platform": platform})
    graph = definitions.resolve_asset_graph()
    assert graph.get(tickets.key).parent_keys == {made.key}
    first = dg.evaluate_automation_conditions(definitions, instance)
    dg.materialize([made], instance=instance)
    second = dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor)
    assert second.get_num_requested(tickets.key) == 1
    assert second.get_num_requested(notes.key) == 0


@every_frame
def test_every_kind_of_frame_reads_the_same(make: Callable[[], object]) -> None:
    read = list(FrameReader("tickets", make(), "frame:tickets").read(WINDOW))
    assert read == [
        SourceRow(row, f"frame:tickets#{number}", "frame:tickets")
        for number, row in enumerate(ROWS, start=1)
    ]


def test_nothing_handed_over_is_no_empty_source(platform: Platform) -> None:
    with pytest.raises(NothingHandedOver, match="nothing was handed over"):
        list(platform.source("notes").read(WINDOW))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("a text", "no frame"),
        (7, "no frame"),
        (pa.table([[1], [2]], names=["id", "id"]), "there twice"),
        (pd.DataFrame({"id": [1, "one"]}), "cannot be read"),
    ],
)
def test_what_is_no_frame_is_refused(rows: object, says: str) -> None:
    with pytest.raises(SourceInvalid, match=says):
        list(FrameReader("notes", rows, "frame:notes").read(WINDOW))


def test_a_row_that_cannot_be_one_is_a_reject_and_the_others_are_read() -> None:
    rows: list[object] = [ROWS[0], "no row", {1: "number"}, ROWS[1]]
    found = list(FrameReader("notes", rows, "frame:notes").read(WINDOW))
    assert [type(one) for one in found] == [SourceRow, Reject, Reject, SourceRow]
    far = pa.table({"id": ["a", "b"], "at": pa.array([2**62, 0], pa.timestamp("us"))})
    kinds = [type(one) for one in FrameReader("notes", far, "frame:notes").read(WINDOW)]
    assert kinds == [Reject, SourceRow]


@pytest.mark.parametrize(
    ("source", "says"), [("none", "is not in platform.yaml"), ("tickets", "crm/tickets returns")]
)
def test_rows_are_handed_over_only_to_a_source_that_takes_them(
    source: str, says: str, platform: Platform
) -> None:
    with pytest.raises(NotConfigured, match=says):
        platform.hand_over(source, ROWS)


def test_a_failed_reading_of_a_frame_removes_nothing(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    notes = raw(platform.settings, "notes")
    resources = {"platform": platform}
    platform.hand_over("notes", ROWS)
    dg.materialize([notes], partition_key=DAY, instance=instance, resources=resources)
    platform.hand_over("notes", None)
    done = dg.materialize(
        [notes],
        partition_key=DAY,
        instance=instance,
        resources=resources,
        raise_on_error=False,
    )
    assert not done.success
    assert platform.lake.raw("notes").read().num_rows == 2
