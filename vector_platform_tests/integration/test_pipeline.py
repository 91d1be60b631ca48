"""A user's life with one deployment: a CSV and a folder of Markdown, day after day.

The tests of this file are one story on one deployment, told in their order.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from vector_platform.cli.exits import Exit
from vector_platform.indexes.contract import Scope
from vector_platform_tests.integration.deployments import BACKENDS, WORDS, Deployment, running

pytestmark = [pytest.mark.deep, pytest.mark.integration]

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (date(2026, 1, day) for day in range(5, 10))
EMBEDDED = f"embeddings and indexes {WORDS}"
SUBJECTS = ["badge", "canteen", "garage", "heating", "library", "lift", "parking", "printer"]
COLUMNS = ["id", "title", "body", "at", "team", "floor"]


def notice(number: int, day: date, **changes: str) -> dict[str, str]:
    subject = SUBJECTS[number % len(SUBJECTS)]
    return {
        "id": f"n{number}",
        "title": f"Notice {number}",
        "body": f"The {subject} of house {number} is closed from {number} to {number + 2}.",
        "at": f"{day}T08:00:00Z",
        "team": ("site", "people")[number % 2],
        "floor": str(number % 4),
        **changes,
    }


def write_notices(root: Path, *rows: dict[str, str]) -> None:
    with (root / "notices.csv").open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if file.tell() == 0:
            writer.writeheader()
        writer.writerows(rows)


def write_guide(root: Path, number: int, text: str = "Ask at the desk.") -> None:
    subject = SUBJECTS[number % len(SUBJECTS)]
    (root / "guides").mkdir(exist_ok=True)
    (root / "guides" / f"g{number}.md").write_text(
        f"# How to use the {subject}, part {number}\n\n{text} This is about the {subject}.\n",
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("life")
    write_notices(root, *(notice(number, MONDAY) for number in range(14)))
    for number in range(10):
        write_guide(root, number)
    sources = {
        "notices": {
            "kind": "files",
            "path": "notices.csv",
            "fields": {
                "key": "id",
                "title": "title",
                "text": "body",
                "time": "at",
                "tenant": "team",
                "attributes": ["floor"],
            },
        },
        "guides": {"kind": "files", "path": "guides/*.md"},
    }
    with running(root, sources=sources) as deployment:
        yield deployment


def assert_both_indexes_equal_the_lake(home: Deployment, rows: int) -> None:
    desired = home.desired()
    assert len(desired) == rows
    for backend in BACKENDS:
        assert home.stored(backend) == desired, backend
        assert home.generation(backend).status == "proven"
    assert home.cli("index", "verify").code == 0


def top(home: Deployment, text: str, backend: str) -> list[str]:
    found = home.searcher.search(text, scope=Scope.all_tenants(), backend=backend, k=5)  # type: ignore[arg-type]
    return [hit.id for hit in found.hits]


def test_sources_named_in_platform_yaml_alone_are_searched_on_both_backends(
    home: Deployment,
) -> None:
    stages = home.converge(MONDAY)
    assert not [check for stage in stages.values() for check in stage.failed_checks]
    assert home.facts(stages[EMBEDDED], "lake/embeddings")["texts"] == 24
    for backend in BACKENDS:
        facts = home.facts(stages[EMBEDDED], f"{backend}/documents")
        assert (facts["mode"], facts["rows"], facts["rows_upserted"]) == ("build", 24, 24)
        assert home.live(backend) == WORDS
    assert_both_indexes_equal_the_lake(home, 24)
    for question in ("the canteen of house 9", "How to use the printer", "heating closed"):
        assert top(home, question, "milvus") == top(home, question, "pinecone")
    assert top(home, "The canteen of house 9 is closed", "milvus")[0] == "notices:n9#0"


def test_a_second_run_of_the_day_finds_nothing_to_do(home: Deployment) -> None:
    before = home.table_versions()
    stages = home.converge(MONDAY)
    assert [name for name, stage in stages.items() if stage.changed] == []
    assert home.table_versions() == before


def test_the_next_day_embeds_only_what_changed_and_both_indexes_follow(home: Deployment) -> None:
    write_guide(home.root, 3, "Ask the janitor, who has the key.")
    (home.root / "guides" / "g5.md").unlink()
    write_notices(home.root, notice(14, TUESDAY), notice(2, TUESDAY, floor="roof"))
    stages = home.converge(TUESDAY)
    # The guide and the new notice; the notice that moved to the roof says what it said before.
    assert home.facts(stages[EMBEDDED], "lake/embeddings")["texts"] == 2
    for backend in BACKENDS:
        facts = home.facts(stages[EMBEDDED], f"{backend}/documents")
        assert facts["mode"] == "changes"
        assert (facts["rows_upserted"], facts["rows_deleted"], facts["rows"]) == (3, 1, 24)
    assert_both_indexes_equal_the_lake(home, 24)
    for backend in BACKENDS:
        assert top(home, "the janitor has the key", backend)[0] == "guides:g3.md#0"
        hit = home.searcher.search(
            "The garage of house 2", scope=Scope.all_tenants(), backend=backend, k=1
        ).hits[0]
        assert (hit.id, hit.attributes) == ("notices:n2#0", {"floor": "roof"})


def test_a_change_of_attributes_or_tenant_embeds_nothing_yet_both_indexes_follow(
    home: Deployment,
) -> None:
    write_notices(
        home.root,
        notice(3, WEDNESDAY, floor="cellar"),
        notice(4, WEDNESDAY, team="people"),
    )
    stages = home.converge(WEDNESDAY)
    assert home.facts(stages[EMBEDDED], "lake/embeddings")["texts"] == 0
    for backend in BACKENDS:
        facts = home.facts(stages[EMBEDDED], f"{backend}/documents")
        assert (facts["rows_upserted"], facts["rows_deleted"], facts["rows"]) == (2, 1, 24)
        assert {row[:2] for row in home.stored(backend)} >= {("notices:n4#0", "people")}
    assert_both_indexes_equal_the_lake(home, 24)


def test_a_large_deletion_stops_until_somebody_allows_it(home: Deployment) -> None:
    for number in (0, 1, 2):
        (home.root / "guides" / f"g{number}.md").unlink()
    before = {backend: home.stored(backend) for backend in BACKENDS}
    stopped = home.cli("run", "--day", str(THURSDAY))
    assert stopped.code == Exit.REFUSED
    assert "3 of 24 rows" in stopped.err
    assert "--allow-delete 3" in stopped.err
    assert "Traceback" not in stopped.err
    assert {backend: home.stored(backend) for backend in BACKENDS} == before
    for backend in BACKENDS:
        assert home.generation(backend).status == "proven"
    too_few = home.cli("index", "sync", "--allow-delete", "2")
    assert (too_few.code, "--allow-delete 3" in too_few.err) == (Exit.REFUSED, True)
    allowed = home.cli("index", "sync", "--allow-delete", "3")
    assert allowed.code == 0, allowed.err
    assert_both_indexes_equal_the_lake(home, 21)


def test_a_source_that_suddenly_gives_nothing_empties_no_index(home: Deployment) -> None:
    guides = {path: path.read_text() for path in (home.root / "guides").iterdir()}
    before = home.stored("milvus")
    for path in guides:
        path.unlink()
    stopped = home.cli("run", "--day", str(FRIDAY))
    assert stopped.code == Exit.FAILED
    assert "names no file that is read" in stopped.err
    for backend in BACKENDS:
        assert home.stored(backend) == before
        assert top(home, "the janitor has the key", backend)[0] == "guides:g3.md#0"
    for path, text in guides.items():
        path.write_text(text)
    # What has landed stayed, so no row is written anew.
    home.converge(FRIDAY)
    assert home.stored("milvus") == before
    assert_both_indexes_equal_the_lake(home, 21)
