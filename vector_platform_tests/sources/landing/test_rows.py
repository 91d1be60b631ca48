"""What may land and what may not, row by row."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.lake.contract import (
    MAX_EXACT_INT,
    MAX_ID_BYTES,
    MAX_TENANT_BYTES,
    doc_id_of,
    hash_text,
)
from vector_platform.settings import FieldMapping
from vector_platform.sources.base import SourceRow
from vector_platform.sources.landing.rows import CheckedRow, check_row

FIELDS = FieldMapping.model_validate(
    {
        "key": "id",
        "text": "body",
        "title": "name",
        "tenant": "team",
        "deleted": "gone",
        "attributes": {"price": "cost", "tags": "tags"},
        "relations": {"cites": "refs"},
    }
)
GOOD: dict[str, Any] = {"id": "k", "body": "text", "name": "title", "team": "red"}


def check(fields: FieldMapping = FIELDS, **changes: Any) -> CheckedRow:
    return check_row(SourceRow(GOOD | changes, "p", "u"), source="notes", fields=fields)


def test_a_good_row_has_no_problem_and_its_payload_is_its_columns() -> None:
    row = check(extra=[1, {"x": None}])
    assert row.problems == ()
    assert json.loads(row.payload or "") == GOOD | {"extra": [1, {"x": None}]}
    assert row.row_hash == hash_text(row.payload or "") and row.operation == "upsert"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"id": None}, "missing key: column 'id' is empty"),
        ({"id": "  "}, "missing key: column 'id' is empty"),
        ({"id": 1.5}, "wrong type: key 'id' is float"),
        ({"id": True}, "wrong type: key 'id' is bool"),
        ({"id": ["k"]}, "wrong type: key 'id' is list"),
        ({"id": "k" * MAX_ID_BYTES}, "key too long: its document id has 518 bytes"),
        ({"id": "é" * 90}, "key too long: its document id has 546 bytes"),
        ({"body": None}, "missing text: column 'body' is empty"),
        ({"body": 5}, "wrong type: text 'body' is int"),
        ({"body": " ", "name": None}, "missing text: column 'body' is blank and there is no title"),
        ({"name": 5}, "wrong type: title 'name' is int"),
        ({"team": None}, "missing tenant: tenant 'team' is empty"),
        ({"team": " "}, "missing tenant: tenant 'team' is empty"),
        ({"team": {}}, "wrong type: tenant 'team' is dict"),
        ({"team": "ä" * MAX_TENANT_BYTES}, "bad tenant: tenant 'team' has 256 bytes, at most 128"),
        ({"team": "a\x00b"}, "bad tenant: tenant 'team' holds the control character U+0000 at"),
        ({"id": "k\x9f"}, "bad key: column 'id' holds the control character U+009F at character 2"),
        ({"id": "k\ud800"}, "not representable: column 'id' holds text that is not valid Unicode"),
        ({"refs": ["ok", "a\x1fb"]}, "bad relation: cites: column 'refs' names a key that holds"),
        ({"refs": "k" * 513}, "bad relation: cites: column 'refs' names a key that has 513 bytes"),
        ({"gone": "perhaps"}, "wrong type: deleted 'gone' holds 'perhaps'"),
        ({"gone": 2}, "wrong type: deleted 'gone' holds 2"),
        ({"gone": 1.0}, "wrong type: deleted 'gone' holds 1.0"),
        ({"cost": {"eur": 1}}, "bad attribute: price: type dict fits no backend"),
        ({"cost": MAX_EXACT_INT + 1}, "bad attribute: price: integer 9007199254740993 is beyond"),
        ({"cost": float("nan")}, "bad attribute: price: nan is not a finite number"),
        ({"tags": ["a", float("nan")]}, "bad attribute: tags: list holds NoneType"),
        ({"tags": ["a", 1]}, "bad attribute: tags: list holds int"),
        ({"tags": "x" * 20_000}, "bad attribute: all together take 20011 bytes"),
        ({"refs": [1.5]}, "bad relation: cites: column 'refs' holds float"),
        ({"other": b"\x00"}, "not representable: column 'other' holds bytes"),
        ({"other": [float("inf")]}, "not representable: column 'other' holds inf"),
        ({"other": timedelta(1)}, "not representable: column 'other' holds timedelta"),
        ({"body": "\ud800"}, "not representable: column 'body' holds text that is not valid"),
        ({"id": "\ud800"}, "not representable: column 'id' holds text that is not valid"),
    ],
)
def test_a_bad_value_is_named_with_its_column(changes: dict[str, Any], problem: str) -> None:
    (found,) = check(**changes).problems
    assert found.startswith(problem)


def test_all_problems_of_a_row_are_listed() -> None:
    assert len(check(id=None, body=5, team="", cost={}).problems) == 4


def test_a_column_that_is_not_there_is_told_from_one_that_is_empty() -> None:
    row = check_row(SourceRow({"team": "x"}, "p", "u"), source="notes", fields=FIELDS)
    assert row.problems == (
        "missing key: column 'id' is not in the row",
        "missing text: column 'body' is not in the row",
    )


def test_the_longest_key_that_fits_leaves_room_for_the_ordinal_of_a_chunk() -> None:
    key = "k" * (MAX_ID_BYTES - len("notes:") - len("#9999999"))
    assert check(id=key).problems == ()
    assert len(doc_id_of("notes", key) + "#9999999") == MAX_ID_BYTES
    assert check(id=key + "k").problems != ()


def test_integers_serve_as_keys_tenants_and_relations() -> None:
    row = check(id=7, team=3, refs=[1, "b"])
    assert row.problems == () and row.key == "7"


@pytest.mark.parametrize(
    ("value", "landed"),
    [
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3), "2026-01-02T03:00:00+00:00"),
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))), "2026-01-02T02:00:00+00:00"),
        (Decimal("1.10"), 1.1),
        (Decimal("5.00"), 5.0),
        (Decimal("1E+2"), 100),
        (Decimal(9007199254740993), "9007199254740993"),
        (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
        (Decimal("NaN"), None),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (float("nan"), None),
        ([float("nan"), (1, 2)], [None, [1, 2]]),
        ({1: date(2026, 1, 2)}, {"1": "2026-01-02"}),
        (2**70, 2**70),
    ],
)
def test_values_without_a_json_type_land_as_the_contract_says(value: Any, landed: Any) -> None:
    row = check(other=value)
    assert row.problems == () and json.loads(row.payload or "")["other"] == landed


@pytest.mark.parametrize("value", [True, 1, "1", "true", "Yes", "T", " y "])
def test_a_row_can_say_that_it_is_deleted_in_many_ways(value: object) -> None:
    row = check(gone=value, body=None)
    assert row.operation == "delete" and row.problems == ()


@pytest.mark.parametrize("value", [None, False, 0, "0", "false", "No", "", " "])
def test_a_row_can_say_that_it_is_there_in_many_ways(value: object) -> None:
    assert check(gone=value).operation == "upsert"


@pytest.mark.parametrize(
    ("value", "utc"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        ("20261101T100000Z", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        (date(2026, 11, 1), datetime(2026, 11, 1, tzinfo=UTC)),
        (datetime(2026, 11, 1, 5), datetime(2026, 11, 1, 5, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_utc(value: object, utc: datetime) -> None:
    fields = FieldMapping(key="id", text="body", time="at")
    assert check(fields, at=value).event_time == utc


def test_a_time_that_utc_cannot_hold_is_a_problem_and_no_crash() -> None:
    fields = FieldMapping(key="id", text="body", time="at")
    assert check(fields, at="0001-01-01T00:00:00+14:00").problems != ()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["id", "body", "name", "team", "gone", "cost", "x"]), JSON))
def test_any_row_either_lands_as_json_or_says_why_not(values: dict[str, Any]) -> None:
    row = check_row(SourceRow(values, "p", "u"), source="notes", fields=FIELDS)
    if row.problems:
        assert [problem for problem in row.problems if ": " in problem] == [*row.problems]
    else:
        assert row.key and json.loads(row.payload or "").keys() == values.keys()


LONG = Decimal("0.12345678901234567890")


def test_a_decimal_that_no_number_holds_is_an_attribute_only_where_declared_as_text() -> None:
    (problem,) = check(cost=LONG).problems
    assert problem.startswith("bad attribute: price: the decimal 0.1234567890123456789")
    assert "{column: cost, as: string}" in problem
    assert check(cost=Decimal("19.99")).problems == ()
    given = FIELDS.model_dump() | {"attributes": {"price": {"column": "cost", "as": "string"}}}
    declared = FieldMapping.model_validate(given)
    assert declared.columns >= {"cost", "id", "body"}
    for value, landed in [(LONG, str(LONG)), (1.5, "1.5"), (True, "true"), (2**60, str(2**60))]:
        row = check(declared, cost=value)
        assert row.problems == () and json.loads(row.payload or "")["cost"] == landed
    assert check(declared, cost=float("inf")).problems != ()


def test_a_value_that_is_nested_without_end_rejects_its_row() -> None:
    deep: Any = 1
    for _ in range(101):
        deep = [deep]
    assert check(other=deep).problems == (
        "not representable: column 'other' is nested more than 100 deep",
    )
    assert check(other=deep[0]).problems == ()
