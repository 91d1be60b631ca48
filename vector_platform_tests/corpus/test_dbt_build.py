"""What a real dbt build makes of raw rows; one build for all of these."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from vector_platform.corpus.dbt_project import find_template
from vector_platform.corpus.publish import MartsMissing, publish_marts
from vector_platform.lake.contract import DOCUMENTS, RELATIONS, canonical_json, doc_id_of
from vector_platform.lake.storage.tables import Table
from vector_platform_tests.corpus.conftest import FIRST_LANDING, Deployment, attributes_of


def test_marts_have_the_contracts_columns_in_its_order(built: Deployment) -> None:
    for spec in (DOCUMENTS, RELATIONS):
        columns = built.query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'marts' "
            f"AND table_name = '{spec.name}' ORDER BY ordinal_position"
        )
        assert [row["column_name"] for row in columns] == spec.schema.names


def test_a_late_older_version_does_not_replace_a_newer_one(built: Deployment) -> None:
    assert built.documents()["tickets:late"]["body"] == "newest"


def test_without_event_times_the_last_landing_wins(built: Deployment) -> None:
    row = built.documents()["tickets:again"]
    assert (row["body"], row["run_id"]) == ("same bytes", "run-2")


def test_a_tombstone_without_a_time_removes_a_row_with_one(built: Deployment) -> None:
    assert "tickets:gone" not in built.documents()


def test_a_row_that_lands_after_its_tombstone_is_back(built: Deployment) -> None:
    assert built.documents()["tickets:back"]["body"] == "after"


def test_a_row_that_says_it_is_deleted_is_gone(built: Deployment) -> None:
    assert "tickets:soft" not in built.documents()


def test_text_is_trimmed_composed_and_has_unix_line_ends(built: Deployment) -> None:
    row = built.documents()["tickets:clean"]
    assert row["body"] == "one\ntwo é"
    assert row["title"] == "A \u00c5 title"


def test_a_constant_is_taken_as_it_is_written(built: Deployment) -> None:
    assert {row["region"] for row in built.documents().values() if row["source"] == "tickets"} == {
        " eu "
    }


def test_keys_become_ids_the_way_the_contract_says(built: Deployment) -> None:
    for row in built.documents().values():
        assert row["doc_id"] == doc_id_of(row["source"], row["key"])
    assert "tickets:k%C3%A9%20y/%25" in built.documents()


def test_duplicates_name_the_smallest_id_of_their_tenant(built: Deployment) -> None:
    found = {doc_id: row["duplicate_of"] for doc_id, row in built.documents().items()}
    assert found["tickets:dup-2"] == "tickets:dup-1"
    assert found["tickets:dup-1"] is None
    assert found["tickets:dup-other"] is None
    assert sum(value is not None for value in found.values()) == 1


def test_times_are_utc_and_a_time_without_a_zone_is_taken_as_utc(built: Deployment) -> None:
    rows = built.documents()
    assert rows["tickets:naive"]["updated_at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert rows["tickets:offset"]["updated_at"] == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert rows["tickets:late"]["updated_at"] == datetime(2026, 10, 3, tzinfo=UTC)
    assert rows["tickets:bare"]["updated_at"] is None


def test_missing_titles_and_bodies_are_empty_strings(built: Deployment) -> None:
    rows = built.documents()
    assert rows["tickets:untitled"]["title"] == ""
    assert rows["tickets:bare"]["body"] == ""


def test_attributes_are_canonical_json_without_nulls(built: Deployment) -> None:
    rows = built.documents()
    assert rows["tickets:typed"]["attributes"] == canonical_json(
        {"priority": 2**53, "tags": ["b", 'é\u001f"\\'], "score": 1e16, "open": False}
    )
    assert rows["tickets:nulls"]["attributes"] == '{"score":-0.5}'
    assert rows["tickets:late"]["attributes"] == "{}"


def test_relations_point_to_documents_of_the_source_or_name_what_is_not_one(
    built: Deployment,
) -> None:
    found = {
        (row["subject"], row["predicate"], row["object"])
        for row in built.query("FROM marts.relations WHERE source = 'tickets'")
    }
    assert found == {
        ("tickets:edges", "mentions", "tickets:late"),
        ("tickets:edges", "mentions", "gone"),
        ("tickets:edges", "mentions", " Cafe\u0301 "),
        ("tickets:edges", "parent", "tickets:k%C3%A9%20y/%25"),
        ("tickets:edge", "mentions", "tickets:clean"),
        # A key of another source is a plain name here.
        ("tickets:edge", "parent", "1"),
    }


def test_a_source_added_in_settings_alone_is_staged_whatever_its_columns_are_called(
    built: Deployment,
) -> None:
    rows = built.documents()
    assert rows["prices:1"]["body"] == "A chair"
    assert (rows["prices:1"]["tenant"], rows["prices:1"]["region"]) == ("default", "global")
    assert attributes_of(rows["prices:1"]) == {"price": "9.90"}
    assert attributes_of(rows["prices:2"]) == {}


def test_a_source_that_never_landed_is_empty_and_breaks_nothing(built: Deployment) -> None:
    assert built.query("SELECT count(*) AS n FROM staging.stg_never_landed") == [{"n": 0}]


def test_lineage_is_that_of_the_landing(built: Deployment) -> None:
    row = built.documents()["prices:1"]
    assert (row["uri"], row["run_id"], row["ingested_at"]) == (
        "test:prices",
        "run-0",
        FIRST_LANDING,
    )


def test_nothing_is_written_beside_the_data_folder(built: Deployment) -> None:
    assert {path.name for path in built.root.iterdir()} == {".vector_platform", "platform.yaml"}
    template = find_template(built.settings)
    assert not [
        name for name in ("target", "logs", "warehouse.duckdb") if (template / name).exists()
    ]


def _published(built: Deployment, root: Path) -> tuple[Table, Table]:
    tables = Table(DOCUMENTS, str(root), None), Table(RELATIONS, str(root), None)
    publish_marts(built.database, *tables, run_id="first")
    return tables


def test_publishing_makes_the_lake_equal_to_the_marts(built: Deployment, tmp_path: Path) -> None:
    documents, relations = _published(built, tmp_path)
    assert {row["doc_id"]: row for row in documents.read().to_pylist()} == built.documents()
    assert relations.read().num_rows == len(built.query("FROM marts.relations"))


def test_publishing_twice_writes_nothing(built: Deployment, tmp_path: Path) -> None:
    documents, relations = _published(built, tmp_path)
    versions = documents.version(), relations.version()
    report = publish_marts(built.database, documents, relations, run_id="second")
    assert not report.changed
    assert (documents.version(), relations.version()) == versions


def test_publishing_repairs_whatever_differs_in_one_commit(
    built: Deployment, tmp_path: Path
) -> None:
    documents, relations = _published(built, tmp_path)
    rows = documents.read().to_pylist()
    changed = next(row for row in rows if row["key"] == "late") | {"title": "Edited"}
    unset = next(row for row in rows if row["key"] == "bare") | {"duplicate_of": "tickets:late"}
    added = changed | {"doc_id": "tickets:ghost", "key": "ghost"}
    documents.merge(
        pa.Table.from_pylist([changed, unset, added], schema=DOCUMENTS.schema), [("prices:1",)]
    )
    version = documents.version()
    report = publish_marts(built.database, documents, relations, run_id="third")
    assert (report.documents.inserted, report.documents.changed, report.documents.deleted) == (
        1,
        2,
        1,
    )
    assert documents.version() == version + 1
    assert {row["doc_id"]: row for row in documents.read().to_pylist()} == built.documents()


def test_lineage_alone_is_no_reason_to_write(built: Deployment, tmp_path: Path) -> None:
    documents, relations = _published(built, tmp_path)
    row = documents.read().to_pylist()[0] | {"run_id": "earlier", "ingested_at": FIRST_LANDING}
    documents.merge(pa.Table.from_pylist([row], schema=DOCUMENTS.schema))
    version = documents.version()
    publish_marts(built.database, documents, relations, run_id="fourth")
    assert documents.version() == version


def test_publishing_before_dbt_has_run_says_so(tmp_path: Path) -> None:
    documents = Table(DOCUMENTS, str(tmp_path), None)
    with pytest.raises(MartsMissing, match="dbt build"):
        publish_marts(tmp_path / "none.duckdb", documents, documents, run_id="r")


def test_a_mart_is_published_from_a_copy_of_the_file_too(built: Deployment, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    shutil.copy(built.database, copy)
    documents, relations = (
        Table(DOCUMENTS, str(tmp_path), None),
        Table(RELATIONS, str(tmp_path), None),
    )
    assert publish_marts(copy, documents, relations, run_id="r").documents.rows == len(
        built.documents()
    )
