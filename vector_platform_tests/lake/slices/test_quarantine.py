"""Quarantines of slices: which documents they hold, and what ends them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from vector_platform.lake.contract import DOCUMENTS
from vector_platform.lake.lake import Lake
from vector_platform.lake.slices.quarantine import (
    NothingMended,
    Quarantine,
    SliceEmpty,
    SliceQuarantine,
    UnknownQuarantine,
)
from vector_platform.lake.slices.slices import Slice, SliceUnnamed, name_slices, parse_slices
from vector_platform_tests.corpus.test_chunks import document

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
MARCH_9 = date(2026, 3, 9)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(str(tmp_path / "lake"))
    put(
        made,
        document("old", tenant="a", updated_at=datetime(2026, 3, 8, 23, 59, tzinfo=UTC)),
        document("new", tenant="a", updated_at=datetime(2026, 3, 9, tzinfo=UTC)),
        document("other", tenant="b", updated_at=datetime(2026, 3, 12, tzinfo=UTC)),
        # Its source knows no time: it belongs to the day it came.
        document("untimed", tenant="a", ingested_at=datetime(2026, 3, 15, tzinfo=UTC)),
    )
    return made


def put(lake: Lake, *rows: dict[str, Any], gone: tuple[str, ...] = ()) -> None:
    lake.documents.merge(
        pa.Table.from_pylist(list(rows), schema=DOCUMENTS.schema), [(f"s:{key}",) for key in gone]
    )


def withhold(lake: Lake, slice_: Slice, **more: Any) -> Quarantine:
    facts = {"actor": "ann", "reason": "debris", "run_id": "r1", "now": NOW} | more
    return SliceQuarantine(lake).add(slice_, **facts)


def lift(lake: Lake, held: Quarantine, **more: Any) -> Quarantine:
    facts = {"actor": "bob", "reason": "mended", "now": NOW + timedelta(days=1)} | more
    return SliceQuarantine(lake).lift(held.quarantine_id, **facts)


@pytest.mark.parametrize(
    ("slice_", "expected"),
    [
        (Slice(source="s"), ["new", "old", "other", "untimed"]),
        (Slice(source="s", tenant="a"), ["new", "old", "untimed"]),
        (Slice(tenant="a", since=MARCH_9), ["new", "untimed"]),
        (Slice(tenant="b", since=date(2026, 3, 13)), []),
        (Slice(source="elsewhere"), []),
    ],
    ids=str,
)
def test_a_slice_holds_its_documents_from_its_first_day_on(
    slice_: Slice, expected: list[str], lake: Lake
) -> None:
    assert SliceQuarantine(lake).documents(slice_) == {f"s:{key}" for key in expected}


def test_a_slice_of_everything_is_no_slice() -> None:
    with pytest.raises(SliceUnnamed, match="name the source or the tenant"):
        Slice(since=MARCH_9)


slices = st.builds(
    Slice,
    source=st.sampled_from(["s", "t"]),
    tenant=st.sampled_from(["", "a", "b"]),
    since=st.none() | st.dates(date(2026, 3, 1), date(2026, 3, 4)),
)
documents = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["s", "t"]),
        "tenant": st.sampled_from(["a", "b"]),
        "updated_at": st.none() | st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 5)),
        "ingested_at": st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 5)),
    }
)


@given(st.lists(slices, max_size=5))
def test_slices_are_named_in_a_commit_without_loss(found: list[Slice]) -> None:
    assert parse_slices(name_slices(found)) == frozenset(found)
    assert name_slices(reversed(found)) == name_slices(found)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(slices, slices, st.lists(documents, max_size=20))
def test_a_slice_that_covers_another_holds_all_that_it_holds(
    wide: Slice, narrow: Slice, found: list[dict[str, Any]]
) -> None:
    rows = [
        {
            name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in found
    ]
    held = [row for row in rows if narrow.holds(row)]
    assume(held and wide.covers(narrow))
    assert [row for row in held if wide.holds(row)] == held


def test_a_quarantine_is_kept_with_who_and_why_and_is_asked_for_once(lake: Lake) -> None:
    held = withhold(lake, Slice("s", "a"), evaluation_id="e1")
    assert withhold(lake, Slice("s", "a", MARCH_9), actor="bob") == held
    assert SliceQuarantine(lake).all() == SliceQuarantine(lake).open() == [held]
    assert (held.actor, held.reason, held.evaluation_id) == ("ann", "debris", "e1")
    wider = withhold(lake, Slice("s"))
    assert SliceQuarantine(lake).open() == sorted(
        [held, wider], key=lambda one: (one.opened_at, one.quarantine_id)
    )


def test_a_slice_without_documents_is_refused(lake: Lake) -> None:
    with pytest.raises(SliceEmpty, match="source nothing"):
        withhold(lake, Slice("nothing"))
    assert SliceQuarantine(lake).all() == []


def test_what_is_as_it_was_is_not_given_back_by_mistake(lake: Lake) -> None:
    held = withhold(lake, Slice("s", "a"))
    put(lake, document("other", "Changed.", tenant="b"))
    with pytest.raises(NothingMended, match=r"no document changed since 2026-03-20.*--as-is"):
        lift(lake, held)
    assert SliceQuarantine(lake).open() == [held]
    ended = lift(lake, held, as_is=True)
    assert (ended.lifted_by, ended.lift_reason, ended.holds) == ("bob", "mended", False)
    assert SliceQuarantine(lake).open() == []


@pytest.mark.parametrize("mend", ["change", "delete", "move"])
def test_what_has_been_mended_is_given_back(mend: str, lake: Lake) -> None:
    held = withhold(lake, Slice("s", "a"))
    if mend == "change":
        put(lake, document("new", "Mended.", tenant="a"))
    elif mend == "delete":
        put(lake, gone=("new",))
    else:
        put(lake, document("new", tenant="b"))
    assert SliceQuarantine(lake).mended(held) == 1
    ended = lift(lake, held)
    # Again is the same: what ended first stays.
    assert lift(lake, held, actor="cat") == ended


def test_more_of_the_same_mends_nothing(lake: Lake) -> None:
    held = withhold(lake, Slice("s", "a"))
    put(lake, document("newer", tenant="a"))
    assert SliceQuarantine(lake).mended(held) == 0
    put(lake, document("newer", "Mended.", tenant="a"))
    assert SliceQuarantine(lake).mended(held) == 1


def test_after_the_documents_were_made_anew_nobody_can_tell_what_was_mended(
    lake: Lake, tmp_path: Path
) -> None:
    held = withhold(lake, Slice("s", "a"))
    (tmp_path / "lake" / "documents").rename(tmp_path / "before")
    put(lake, document("new", "Mended.", tenant="a"))
    assert SliceQuarantine(lake).mended(held) is None
    with pytest.raises(NothingMended, match="cannot be told"):
        lift(lake, held)


def test_a_quarantine_that_does_not_exist_is_named(lake: Lake) -> None:
    with pytest.raises(UnknownQuarantine, match="'q-0': vector-platform quarantine list"):
        SliceQuarantine(lake).get("q-0")
