"""The blocks of README and the operators' page, on a deployment with the names that they use.

One story: the blocks are played in the order of the pages, and before some commands something
happens that they are about. Ids in them stand for the newest of the deployment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vector_platform.cli.exits import Exit
from vector_platform.indexes.backends.pinecone.names import namespace_name
from vector_platform_tests.docs.blocks import Block, blocks_of, marked, missing_from
from vector_platform_tests.installed import ROOT
from vector_platform_tests.integration.deployments import STATIC, Deployment, running

pytestmark = [pytest.mark.deep, pytest.mark.integration]

SMALL, LARGE = "wordllama-256.v1", "minilm-384.v1"
TOPICS = ["rotate the key of a secret", "descale the coffee machine", "book the fire drill"]
TOPICS += ["feed the lawn in spring", "oil the flag pole rope", "sort the lost umbrellas"]
TENANTS = ["plant", "office"]
# What is only said of more texts than are here.
OF_MANY_ROWS = {"estimated from"}
PAGES = ("README.md", "docs/operations.md")


def ticket(number: int, text: str) -> dict[str, str]:
    return {"id": f"t{number}", "title": f"Ticket {number}", "text": text} | {
        "tenant": TENANTS[number % 2]
    }


class Story:
    """A deployment, and what happens in it."""

    def __init__(self, home: Deployment) -> None:
        self.home = home
        self.before: dict[str, Callable[[], None]] = {
            "index plan": self.another_model,
            "index verify --backend pinecone": self.somebody_writes_to_the_index,
            "release rollback --backend milvus --reason": self.a_rebuild_is_released,
            "index rebuild --model minilm": self.everything_is_up_to_date,
            "rejects advisories --retry": self.the_source_is_mended,
            "quarantine replay": self.the_tickets_are_mended,
            "release requests": self.a_release_is_asked_for,
            "release reject": self.a_release_is_asked_for,
            "release status": self.nothing_is_frozen,
        }
        self.codes = {
            "index verify --backend pinecone": Exit.DIFFERS,
            # A freeze is in its way until somebody sets it aside.
            "release approve r-3f9a02c1 --reason": Exit.REFUSED,
        }

    def play(self, block: Block) -> list[str]:
        """Execute a block; returns what it shows and no command printed."""
        missing = []
        for command, shown in block.commands():
            call, _, echo = command.partition("; echo ")
            words = re.findall(r'"[^"]*"|\S+', call)
            assert words[0] == "vector-platform", f"{block.place}: {command}"
            verb = " ".join(words[1:])
            for beginning, happens in self.before.items():
                if verb.startswith(beginning):
                    happens()
            done = self.home.cli(*(self.real(word.strip('"')) for word in words[1:]))
            override = Exit.DONE if "--override-freeze" in verb else None
            fit = [code for start, code in self.codes.items() if verb.startswith(start)]
            code = override if override is not None else (fit or [Exit.DONE])[0]
            assert done.code == code, f"{block.place}: {command}\n{done.out}\n{done.err}"
            printed = done.out + (f"exit {done.code}\n" if echo else "")
            missing += [
                f"{block.place}: {one}"
                for one in missing_from(printed, shown)
                if one not in OF_MANY_ROWS
            ]
        return missing

    def real(self, word: str) -> str:
        """What an id on a page stands for here."""
        if re.fullmatch(r"r-[0-9a-f]{8}(/\w+)?", word):
            newest = self.told("release", "requests", "--all")[-1]["request_id"]
            return str(newest).partition("/")[0] + word[10:]
        if re.fullmatch(r"q-[0-9a-f]{8}", word):
            return str(self.told("quarantine", "list")[-1]["quarantine_id"])
        if re.fullmatch(r"g\d{4}", word):
            live = self.told("release", "status")["releases"]["milvus"]
            # One that is kept still, and is not live.
            return str(live[-2]["generation"])
        return word

    def told(self, *verb: str) -> Any:
        return json.loads(self.home.cli(*verb, "--json").out)

    def ok(self, *verb: str, code: int = Exit.DONE) -> None:
        done = self.home.cli(*verb)
        assert done.code == code, f"{verb}\n{done.out}\n{done.err}"

    # -- what happens -----------------------------------------------------------------------

    def another_model(self) -> None:
        self.home.described["models"][LARGE] = STATIC
        self.home.save()

    def somebody_writes_to_the_index(self) -> None:
        plant, office = (
            namespace_name(tenant, self.home.generation("pinecone", SMALL).generation)
            for tenant in TENANTS
        )
        with self.home.pinecone_index(SMALL) as index:
            ids = sorted(row.id for row in index.documents.list(namespace=plant))
            found = index.documents.fetch(namespace=plant, ids=ids[2:4]).documents
            forged, copied = (dict(found[one].to_dict()) for one in ids[2:4])
            index.documents.delete(namespace=plant, ids=ids[:2])
            index.documents.upsert(namespace=plant, documents=[forged | {"digest": "forged"}])
            index.documents.upsert(namespace=office, documents=[copied])

    def a_rebuild_is_released(self) -> None:
        self.ok("index", "rebuild", "--model", SMALL, "--reason", "a test")

    def everything_is_up_to_date(self) -> None:
        self.ok("run")

    def the_source_is_mended(self) -> None:
        file = self.home.root / "advisories.jsonl"
        file.write_text(json.dumps(ticket(90, "Wear gloves.")) + "\n", encoding="utf-8")

    def the_tickets_are_mended(self) -> None:
        self.ok("index", "sync", "--allow-delete", "1000")
        file = self.home.root / "tickets.jsonl"
        file.write_text(file.read_text(encoding="utf-8").replace("Please", "Kindly"))
        self.ok("run")

    def a_release_is_asked_for(self) -> None:
        self.ok("run")
        window = {"name": "audit", "first_day": "2020-01-01"}
        self.home.described |= {"releases": {"freezes": [window]}, "runs": {"user": "ann"}}
        self.home.save()
        live = self.told("release", "status")["releases"]["milvus"][-1]["model_version"]
        asked = ("index", "rebuild", "--model", live, "--backend", "milvus", "--reason", "a test")
        self.ok(*asked, code=Exit.REFUSED)
        self.home.described["runs"] = {"user": "bob"}
        self.home.save()

    def nothing_is_frozen(self) -> None:
        self.home.described.pop("releases", None)
        self.home.save()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("story")
    tickets = [
        ticket(number, f"Please {topic} in building {number}.")
        for number, topic in enumerate(TOPICS * 4)
    ]
    (root / "tickets.jsonl").write_text("\n".join(map(json.dumps, tickets)), encoding="utf-8")
    odd = [ticket(90, "Wear gloves."), ticket(91, "Nobody knows whose.") | {"id": ""}]
    (root / "advisories.jsonl").write_text("\n".join(map(json.dumps, odd)), encoding="utf-8")
    golden_queries(root)
    fields = {"key": "id", "title": "title", "text": "text", "tenant": "tenant"}
    sources = {
        name: {"kind": "files", "path": f"{name}.jsonl", "fields": fields}
        for name in ("tickets", "advisories")
    }
    with running(
        root,
        sources=sources,
        models={SMALL: STATIC | {"max_tokens": 8}},
        golden_queries={"topics": {"source": "tickets", "kind": "beir", "path": "golden"}},
        guard={"max_delete_share": 0.1},
    ) as home:
        story = Story(home)
        story.ok("run")
        yield story


def golden_queries(root: Path) -> None:
    (root / "golden").mkdir()
    queries, judged = [], ["query-id\tcorpus-id\tscore"]
    for number, topic in enumerate(TOPICS):
        queries.append(json.dumps({"_id": f"q{number}", "text": f"{topic}, building {number}"}))
        judged.append(f"q{number}\tt{number}\t1")
    (root / "golden" / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    (root / "golden" / "qrels.tsv").write_text("\n".join(judged), encoding="utf-8")


@pytest.mark.parametrize(
    "block",
    [
        block
        for page in PAGES
        for block in blocks_of(ROOT / page)
        if block.mark == "deep" and "vector-platform init" not in block.text
    ],
    ids=lambda block: block.place,
)
def test_a_block_does_what_it_shows(block: Block, story: Story) -> None:
    assert story.play(block) == []


def test_no_page_has_deep_blocks_that_nobody_plays() -> None:
    # The first screen of README and the tutorial are played with the wheel (test_first_hour.py).
    assert {block.page for block in marked("deep")} == {*PAGES, "docs/ten-minutes.md"}
