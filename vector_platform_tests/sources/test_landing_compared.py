"""Sources without a time column: compared with what has landed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from vector_platform.lake.contract import canonical_json, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.settings import FieldMapping
from vector_platform.sources.base import Reject, SourceInvalid, SourceUnreachable
from vector_platform_tests.sources.landings import (
    FIRST_DAY,
    NAME,
    Found,
    Rows,
    day,
    land_rows,
    newest,
    rejects,
    versions,
)

A, B, C = ({"id": key, "text": f"text of {key}"} for key in "abc")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_a_first_reading_lands_every_row_with_its_lineage(lake: Lake) -> None:
    report = land_rows(lake, [A, B], run_id="r1")
    assert (report.rows_read, report.inserted, report.rejected) == (2, 2, 0)
    row = newest(lake)["a"]
    assert row["payload"] == canonical_json(A)
    assert row["row_hash"] == hash_text(row["payload"])
    assert (row["source"], row["uri"], row["run_id"]) == (NAME, "memory", "r1")
    assert row["ingest_date"] == FIRST_DAY and row["event_time"] is None


def test_reading_the_same_again_writes_nothing(lake: Lake) -> None:
    land_rows(lake, [A, B, {"id": None, "text": "x"}])
    before = versions(lake)
    report = land_rows(lake, [A, B, {"id": None, "text": "x"}], run_id="again")
    assert not report.wrote and versions(lake) == before
    assert report.rejected == 1


def test_only_new_changed_and_removed_rows_are_written(lake: Lake) -> None:
    land_rows(lake, [A, B, C])
    changed = {**B, "text": "another text"}
    report = land_rows(lake, [A, changed, {"id": "d", "text": "d"}], on=day(2))
    assert (report.inserted, report.changed, report.removed) == (1, 1, 1)
    assert lake.raw(NAME).read().num_rows == 3 + 3
    assert set(newest(lake)) == {"a", "b", "d"}
    tombstone = next(r for r in lake.raw(NAME).read().to_pylist() if r["operation"] == "delete")
    assert (tombstone["key"], tombstone["payload"]) == ("c", "{}")
    assert tombstone["row_hash"] == hash_text("{}")


def test_a_removed_row_that_returns_unchanged_is_inserted(lake: Lake) -> None:
    land_rows(lake, [A, B])
    land_rows(lake, [A], on=day(2))
    report = land_rows(lake, [A, B], on=day(3))
    assert (report.inserted, report.changed) == (1, 0)
    assert set(newest(lake)) == {"a", "b"}


def test_every_landing_is_one_commit_per_table(lake: Lake) -> None:
    land_rows(lake, [A, B, {"id": ""}])
    before = versions(lake)
    land_rows(lake, [{**A, "text": "x"}, C, {"id": "", "text": "y"}], on=day(2))
    assert [after - earlier for after, earlier in zip(versions(lake), before, strict=True)] == [
        1,
        1,
        1,
    ]


def test_the_first_landing_of_a_day_leaves_its_row_even_when_nothing_changed(lake: Lake) -> None:
    land_rows(lake, [A])
    report = land_rows(lake, [A], on=day(2))
    assert report.wrote
    assert {row["ingest_date"] for row in lake.landings.read().to_pylist()} == {day(1), day(2)}


def test_a_duplicate_key_lands_once_and_the_reject_names_both_places(lake: Lake) -> None:
    land_rows(lake, [A, {**A, "text": "other"}, {**A, "text": "third"}])
    assert newest(lake)["a"]["payload"] == canonical_json(A)
    found = rejects(lake)
    assert set(found) == {"memory:2", "memory:3"}
    assert "'a' is also at memory:1" in found["memory:2"]


def test_rows_repaired_at_the_source_leave_the_rejects(lake: Lake) -> None:
    land_rows(lake, [A, {"id": "b", "text": 7}])
    assert list(rejects(lake)) == ["memory:2"]
    report = land_rows(lake, [A, B])
    assert rejects(lake) == {} and report.inserted == 1


def test_rejects_of_other_sources_stay(lake: Lake) -> None:
    land_rows(lake, [{"id": "b", "text": 7}], name="letters")
    land_rows(lake, [{"id": "c", "text": 8}])
    assert {row["source"] for row in lake.raw_rejects.read().to_pylist()} == {NAME, "letters"}


def test_rejects_of_other_days_stay(lake: Lake) -> None:
    land_rows(lake, [{"id": "b", "text": 7}])
    land_rows(lake, [{"id": "b", "text": 8}, {"id": "c"}], on=day(2))
    assert len(rejects(lake, day(1))) == 1 and len(rejects(lake, day(2))) == 2


def test_rejects_are_written_only_when_they_differ(lake: Lake) -> None:
    bad = {"id": "x", "text": 7}
    land_rows(lake, [bad, A])
    before = versions(lake)
    land_rows(lake, [bad, A, B])
    assert versions(lake) == (before[0] + 1, before[1], before[2] + 1)
    assert land_rows(lake, [{"id": "y", "text": 7}, A, B]).wrote
    assert "'text'" in rejects(lake)["memory:1"]
    rows = lake.raw_rejects.read().to_pylist()
    assert [row["key"] for row in rows] == ["y"]


def test_a_row_that_became_bad_is_not_taken_for_removed(lake: Lake) -> None:
    land_rows(lake, [A, B])
    report = land_rows(lake, [A, {"id": "b", "text": None}], on=day(2))
    assert report.removed == 0 and report.rejected == 1
    assert newest(lake)["b"]["payload"] == canonical_json(B)


def test_a_file_that_became_unreadable_removes_nothing_of_it(lake: Lake) -> None:
    both = Rows([A, B], uri="one.csv")
    land_rows(lake, both)
    broken = Reject("one.csv", "unreadable file: damaged", uri="one.csv")
    report = land_rows(lake, [C, broken], on=day(2))
    assert report.removed == 0 and set(newest(lake)) == {"a", "b", "c"}
    assert "2 key(s) were not seen but kept" in report.notes[0]


def test_what_comes_from_other_files_is_removed_beside_an_unreadable_one(lake: Lake) -> None:
    land_rows(lake, Rows([A], uri="one.csv"))
    land_rows(lake, [B, Reject("one.csv", "unreadable file: damaged", uri="one.csv")], on=day(2))
    report = land_rows(lake, [Reject("one.csv", "unreadable file: x", uri="one.csv")], on=day(3))
    assert report.removed == 1 and set(newest(lake)) == {"a"}


def test_a_reject_of_unknown_origin_removes_nothing_at_all(lake: Lake) -> None:
    land_rows(lake, [A, B])
    assert land_rows(lake, [Reject("somewhere", "odd: thing")], on=day(2)).removed == 0


def test_a_source_that_gives_nothing_removes_all_and_says_so(lake: Lake) -> None:
    land_rows(lake, [A, B])
    report = land_rows(lake, [], on=day(2))
    assert report.removed == 2 and newest(lake) == {}
    assert "no row at all; the lake held 2" in report.notes[0]


def test_a_mapped_column_that_no_row_has_is_noted(lake: Lake) -> None:
    fields = {"key": "id", "text": "text", "attributes": ["prise"]}
    report = land_rows(lake, [A], fields=_mapping(fields))
    assert report.notes == ("no row has the mapped column(s) prise",)


def test_a_row_that_says_it_is_deleted_is_a_tombstone(lake: Lake) -> None:
    fields = _mapping({"key": "id", "text": "text", "deleted": "gone"})
    land_rows(lake, [{**A, "gone": "false"}, {**B, "gone": ""}], fields=fields)
    report = land_rows(lake, [{**A, "gone": "true"}, {**B, "gone": ""}], fields=fields, on=day(2))
    assert report.removed == 1 and set(newest(lake)) == {"b"}
    before = versions(lake)
    land_rows(lake, [{**A, "gone": "true"}, {**B, "gone": ""}], fields=fields, on=day(2))
    assert versions(lake) == before


def test_naming_the_column_of_deleted_rows_later_makes_tombstones_of_them(lake: Lake) -> None:
    land_rows(lake, [{**A, "gone": True}, B])
    fields = _mapping({"key": "id", "text": "text", "deleted": "gone"})
    report = land_rows(lake, [{**A, "gone": True}, B], fields=fields)
    assert report.removed == 1 and set(newest(lake)) == {"b"}


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_source_that_breaks_off_leaves_the_lake_as_it_was(lake: Lake, position: int) -> None:
    land_rows(lake, [A])
    before = versions(lake)
    found: list[Found] = [B, {"id": None}]
    found.insert(position, ConnectionResetError("gone away"))
    with pytest.raises(SourceUnreachable, match=f"source '{NAME}' cannot be reached.*gone away"):
        land_rows(lake, found, on=day(2))
    assert versions(lake) == before


def test_a_class_that_gives_something_else_than_rows_is_told_so(lake: Lake) -> None:
    class Odd(Rows):
        def read(self, window: object) -> object:  # type: ignore[override]
            return iter([{"id": 1}])

    with pytest.raises(SourceInvalid, match=r"Odd.read gave dict, not SourceRow or Reject"):
        land_rows(lake, Odd([]))


def test_the_report_counts_reasons_by_kind_and_caps_its_sample(lake: Lake) -> None:
    bad = [{"id": f"k{number}", "text": None} for number in range(30)]
    report = land_rows(lake, [A, {"text": 1}, *bad])
    assert report.reject_reasons == {"missing text": 30, "missing key": 1, "wrong type": 1}
    assert report.rejected == 31 and len(report.reject_sample) == 10
    assert report.reject_sample[0]["place"] == "memory:2"
    assert {"rows_read", "inserted", "rejected", "seconds"} <= report.facts().keys()


def test_landing_times_move_on_even_when_the_clock_does_not(lake: Lake) -> None:
    land_rows(lake, [A])
    land_rows(lake, [{**A, "text": "newer"}])
    assert "newer" in newest(lake)["a"]["payload"]


def _mapping(fields: Mapping[str, object]) -> FieldMapping:
    return FieldMapping.model_validate(fields)
