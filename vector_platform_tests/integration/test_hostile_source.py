"""Hostile keys, tenants and attributes from a source to both backends, and the source emptied.

Belongs here: what such values may reach on their whole way. Bystanders of another source, and
something of somebody else's beside each index, must be the same before and after.

The tests of this file are one story on one deployment, told in their order. What each backend does
with many more values is in `hostile_values.py`; what dbt and chunks do, in
`corpus/test_exact_identities.py`, is the fast sample.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vector_platform.cli.exits import Exit
from vector_platform.indexes.contract import RowKey, StoredRow
from vector_platform.lake.contract import doc_id_of
from vector_platform.local import services
from vector_platform_tests.faults import servers
from vector_platform_tests.integration.deployments import BACKENDS, Deployment, Rows, running
from vector_platform_tests.integration.hostile_values import KNOWN
from vector_platform_tests.some import some

pytestmark = [pytest.mark.deep, pytest.mark.integration]

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
# Attributes may be called what fields of ours, or words of an expression, are called.
NAMES = ("attr_x", "null", "true", "id", "digest", "tenant", "vector", "fence", "region", "IN")
BYSTANDERS = ("bystander", "by'stander")
# Of all values so many are a key, or a tenant, that the contract admits.
ADMITTED = 40


def named(number: int) -> str:
    return NAMES[number] if number < len(NAMES) else f"a{number}"


def write_sources(root: Path, values: tuple[str, ...] = KNOWN) -> None:
    """Every value as a key, a tenant, an attribute and a column: in JSON, and as CSV quotes it."""
    with (root / "lines.jsonl").open("w", encoding="utf-8") as file:
        for number, value in enumerate(values):
            row = {"_key": value, "_tenant": value, "_text": f"a line about subject {number}"}
            file.write(json.dumps(row | {f"of {value}": value, "all": [value, ""]}) + "\n")
    with (root / "table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["_key", "_tenant", "_text", 'it\'s {{ a }} "name"'])
        for number, value in enumerate(values):
            if "\0" not in value:  # which Python's reader of CSV does not take
                writer.writerow([value, value, f"a cell about subject {number}", value])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("hostile")
    write_sources(root)
    with (root / "calm.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "team"])
        writer.writerows(
            [f"c{number}", f"calm words about subject {number}", BYSTANDERS[number % 2]]
            for number in range(20)
        )
    hostile = {"key": "_key", "tenant": "_tenant", "text": "_text"}
    columns = {named(number): f"of {value}" for number, value in enumerate(KNOWN)}
    sources = {
        "lines": {
            "kind": "files",
            "path": "lines.jsonl",
            "fields": {**hostile, "attributes": columns | {"all": "all"}},
        },
        "table": {
            "kind": "files",
            "path": "table.csv",
            "fields": {**hostile, "attributes": {"said": 'it\'s {{ a }} "name"'}},
        },
        "calm": {
            "kind": "files",
            "path": "calm.csv",
            "fields": {"key": "id", "text": "text", "tenant": "team"},
        },
    }
    with running(root, sources=sources) as deployment:
        yield deployment


def whole(home: Deployment, backend: str) -> dict[RowKey, StoredRow]:
    """All rows of an index, whole."""
    target, state = home.platform.target(backend), home.generation(backend)
    return target.whole_rows(state.identity, [(i, t) for i, t, _ in home.stored(backend)])


def of_bystanders(rows: dict[RowKey, StoredRow]) -> dict[RowKey, StoredRow]:
    return {key: row for key, row in rows.items() if row["doc_id"].startswith("calm:")}


def assert_same(one: dict[RowKey, StoredRow], other: dict[RowKey, StoredRow]) -> None:
    assert one and one.keys() == other.keys()
    for key, row in one.items():
        now = dict(other[key])
        # A fence of a process that does not know the last write marks a row; readers never ask.
        assert {k: v for k, v in row.items() if k not in ("vector", "fence")} == {
            k: v for k, v in now.items() if k not in ("vector", "fence")
        }
        np.testing.assert_array_equal(row["vector"], now["vector"])


@pytest.fixture(scope="module")
def before(home: Deployment) -> dict[str, Any]:
    """What is there when all has landed, with something of somebody else's planted beside it."""
    home.converge(MONDAY)
    for backend in BACKENDS:
        with closing(plain(home, backend)) as outsider:
            outsider.plant(home.generation(backend).identity)
    return {backend: whole(home, backend) for backend in BACKENDS}


def plain(home: Deployment, backend: str) -> servers.Plain:
    url = services.endpoint(home.data_dir, backend).uri
    if backend == "milvus":
        return servers.PlainMilvus(url)
    return servers.PlainPinecone(url, services.pinecone_api_key(home.data_dir))


def test_every_value_lands_exactly_or_is_a_reject_and_both_backends_hold_the_rest(
    home: Deployment, before: dict[str, Any]
) -> None:
    documents = home.platform.lake.documents.read().to_pylist()
    rejects = home.platform.lake.raw_rejects.read().to_pylist()
    for source, values in (("lines", KNOWN), ("table", [v for v in KNOWN if "\0" not in v])):
        own = {row["doc_id"]: row for row in documents if row["source"] == source}
        refused = [row for row in rejects if row["source"] == source]
        assert len(own) + len(refused) == len(values), [row["reason"] for row in refused]
        assert len(own) > ADMITTED
        for number, value in enumerate(values):
            row = own.get(doc_id_of(source, value))
            if row is None:
                continue
            assert (row["key"], row["tenant"]) == (value, value)
            attributes = json.loads(row["attributes"])
            if source == "table":
                assert attributes == {"said": value}
            else:
                assert attributes == {named(number): value, "all": [value, ""]}
    for backend in BACKENDS:
        assert home.stored(backend) == home.desired()
        held = before[backend]
        assert len(of_bystanders(held)) == 20
        for (row_id, tenant), row in held.items():
            assert row["tenant"] == tenant and row_id.startswith(row["doc_id"])
    done = home.cli("index", "verify", "--every-row")
    assert done.code == 0, done.out + done.err


def test_a_search_of_a_hostile_tenant_finds_its_rows_alone(home: Deployment) -> None:
    for tenant in ("x']||id!='q'||(id)in['", 'x"]||id!="q"||(id)in["', "\\\\", "a  b", "{tenant}"):
        done = home.cli("search", "a line about it", "--tenant", tenant, "-k", "50", "--json")
        assert done.code == 0, done.err
        for answer in some(json.loads(done.out)):
            assert {hit["tenant"] for hit in some(answer["hits"])} == {tenant}
            assert len(answer["hits"]) == 2


def test_emptying_the_source_deletes_nothing_until_a_person_says_so(
    home: Deployment, before: dict[str, Any]
) -> None:
    stored: dict[str, Rows] = {backend: home.stored(backend) for backend in BACKENDS}
    write_sources(home.root, values=())
    stopped = home.cli("run", "--day", str(TUESDAY))
    assert stopped.code == Exit.REFUSED and "would delete" in stopped.err, stopped.err
    assert "Traceback" not in stopped.err
    going = {row[0] for row in stored["milvus"]} - {row[0] for row in home.desired()}
    assert len(going) == len(stored["milvus"]) - 20
    for allowed in ("0", str(len(going) - 1)):
        for backend in BACKENDS:
            refused = home.cli("index", "sync", "--backend", backend, "--allow-delete", allowed)
            assert refused.code == Exit.REFUSED and f"--allow-delete {len(going)}" in refused.err
    for backend in BACKENDS:
        assert home.stored(backend) == stored[backend]
        assert_same(before[backend], whole(home, backend))


def test_with_approval_exactly_what_has_gone_goes(home: Deployment, before: dict[str, Any]) -> None:
    going = len(home.stored("milvus")) - 20
    done = home.cli("index", "sync", "--allow-delete", str(going))
    assert done.code == 0, done.err
    for backend in BACKENDS:
        assert home.stored(backend) == home.desired()
        left = whole(home, backend)
        assert len(left) == 20
        assert_same(of_bystanders(before[backend]), left)
        with closing(plain(home, backend)) as outsider:
            assert outsider.planted(home.generation(backend).identity)
    proven = home.cli("index", "verify", "--every-row")
    assert proven.code == 0, proven.out + proven.err
