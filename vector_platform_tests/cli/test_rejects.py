"""`vector-platform rejects`: what may not land is counted, shown, and landed once mended."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from vector_platform.cli.app import app
from vector_platform.cli.exits import Exit
from vector_platform.settings import CONFIG_VARIABLE, FilesSource
from vector_platform.sources.landing.held_rejects import held_rejects
from vector_platform.sources.landing.landing import land
from vector_platform.sources.landing.report import LandingReport
from vector_platform.wiring import Platform

DAY = date(2026, 1, 5)
GOOD = '{"id": "a", "text": "Sound."}\n'
BAD = '{"id": "b"}\n{"id": "c", "text": " "}\nno json\n[1]\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A deployment that has landed a day with four rejects."""
    (tmp_path / "items.jsonl").write_text(GOOD + BAD)
    fields = {"key": "id", "text": "text"}
    described = {
        "start_date": "2026-01-01",
        "sources": {"items": {"kind": "files", "path": "items.jsonl", "fields": fields}},
        "models": {"words.v1": {"package": "wordllama", "kind": "static"}},
    }
    file = tmp_path / "platform.yaml"
    file.write_text(yaml.safe_dump(described))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    platform = Platform.load()
    landed(platform)
    return platform


def landed(platform: Platform) -> LandingReport:
    return land(
        lake=platform.lake,
        name="items",
        spec=platform.settings.sources["items"],
        source=platform.source("items"),
        day=DAY,
        first_day=platform.settings.start_date,
        run_id="run",
        now=datetime(2026, 1, 5, tzinfo=UTC),
    )


def said(*arguments: str, code: int = Exit.DONE) -> str:
    done = CliRunner().invoke(app, ["rejects", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def told(*arguments: str, code: int = Exit.DONE) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(said(*arguments, "--json", code=code))
    return value


@pytest.mark.usefixtures("home")
def test_rejects_are_counted_by_reason_and_listed_with_their_place() -> None:
    out = said()
    assert "4" in out and "2 malformed json" in out
    (held,) = told()["held"]
    assert (held["source"], held["day"], held["count"]) == ("items", "2026-01-05", 4)
    assert sum(held["reasons"].values()) >= 4
    out = said("items")
    assert "items.jsonl:4" in out and "malformed json" in out and "no json" not in out
    assert "no json" in said("--show")
    assert [row["place"] for row in told("items", "--limit", "1")["rows"]]


def test_reasons_are_counted_as_the_landing_counted_them(home: Platform) -> None:
    """Some say more behind a semicolon than what is wrong."""
    file = home.settings.root / "items.csv"
    late = '"id","text","at"\n"b","","2027-01-01"\n"c","Late.","2027-01-01"\n"d","Op"en.",""\n'
    file.write_text(late, encoding="utf-8")
    fields = {"key": "id", "text": "text", "time": "at"}
    spec = FilesSource.model_validate({"kind": "files", "path": "items.csv", "fields": fields})
    home.settings.sources["items"] = spec
    report = landed(home)
    (held,) = held_rejects(home.lake.raw_rejects)
    assert held.reasons == report.reject_reasons
    assert held.reasons == {"time out of range": 2, "missing text": 1, "malformed csv": 1}


def test_without_rejects_there_is_nothing_to_see(home: Platform) -> None:
    table = home.lake.raw_rejects
    none = table.spec.schema.empty_table()
    table.replace(none, where="source = 'items'", metadata={"run_id": "test", "what": "mended"})
    assert said() == "nothing is rejected\n"


@pytest.mark.deep
def test_mended_rows_land_with_a_retry_and_leave_the_list(home: Platform) -> None:
    file = home.settings.root / "items.jsonl"
    file.write_text(GOOD + '{"id": "b", "text": "Mended."}\nno json\n')
    (held,) = told("--retry", code=Exit.DIFFERS)["held"]
    assert held["count"] == 1
    assert home.lake.raw("items").rows() == 2
    file.write_text(GOOD + '{"id": "b", "text": "Mended."}\n')
    assert told("items", "--retry")["held"] == []
    assert "`vector-platform run` brings the indexes up to it" in said("items", "--retry")
