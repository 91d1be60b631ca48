"""Golden queries of a source, as rows of the lake's `golden_queries`.

Belongs here: reading queries and judgements from a source's class or a BEIR folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from vector_platform.errors import ContractError
from vector_platform.lake.contract import (
    GOLDEN_QUERIES,
    MAX_TENANT_BYTES,
    doc_id_of,
    identity_problem,
)
from vector_platform.settings import GoldenQueries, Settings
from vector_platform.sources.base import GoldenQuery, Source, SourceUnreachable

# Of a BEIR folder.
QUERIES_FILE, JUDGEMENTS_FILE = "queries.jsonl", "qrels.tsv"


def read_golden_queries(settings: Settings, *, open_source: Callable[[str], Source]) -> pa.Table:
    """Queries with known answers, one row a judged document, in the order of the settings.

    Args:
        settings: `golden_queries` and `root` are used.
        open_source: Opens a source by name; asked only for sets of `kind: python`.

    Raises:
        SourceUnreachable: A file of a BEIR folder is missing.
        ContractError: Lines that cannot be read, queries without text, judgements without a
            query, tenants and keys that no document can have; all of them listed.
    """
    judged = [
        (set_name, spec, query, provenance)
        for set_name, spec in settings.golden_queries.items()
        for query, provenance in _queries_of(set_name, spec, settings.root, open_source)
    ]
    problems = [
        f"{set_name}: query {query.query_id!r}: {role} {problem}"
        for set_name, _, query, _ in judged
        for role, problem in _unfit(query)
    ]
    if problems:
        raise ContractError("golden queries", problems)
    rows = [
        {
            "set_name": set_name,
            "query_id": query.query_id,
            "text": query.text,
            "doc_id": doc_id_of(spec.source, key),
            "gain": gain,
            "tenant": query.tenant,
            "provenance": provenance,
        }
        for set_name, spec, query, provenance in judged
        for key, gain in query.relevant.items()
    ]
    return pa.Table.from_pylist(rows, schema=GOLDEN_QUERIES.schema)


def _unfit(query: GoldenQuery) -> Iterator[tuple[str, str]]:
    """What a query names that the contract admits of no document: (role, problem)."""
    if query.tenant is not None and (
        problem := identity_problem(query.tenant, max_bytes=MAX_TENANT_BYTES)
    ):
        yield "tenant", problem
    for key in query.relevant:
        if problem := identity_problem(key):
            yield "relevant key", problem


def _queries_of(
    set_name: str, spec: GoldenQueries, root: Path, open_source: Callable[[str], Source]
) -> Iterator[tuple[GoldenQuery, str]]:
    if spec.path is None:
        source = open_source(spec.source)
        provenance = f"{type(source).__module__}:{type(source).__name__}"
        for query in source.golden_queries():
            yield query, provenance
    else:
        folder = root / Path(spec.path).expanduser()
        for query in _read_beir(set_name, spec.source, folder):
            yield query, f"beir:{spec.path}"


def _read_beir(set_name: str, source: str, folder: Path) -> Iterator[GoldenQuery]:
    problems: list[str] = []
    try:
        with (folder / QUERIES_FILE).open(encoding="utf-8-sig") as lines:
            queries = _queries(lines, problems)
        with (folder / JUDGEMENTS_FILE).open(encoding="utf-8-sig", newline="\n") as lines:
            judged = _judgements(lines, queries, problems)
    except (OSError, UnicodeDecodeError) as error:
        raise SourceUnreachable(source, f"golden queries {set_name!r}: {error}") from error
    if problems:
        raise ContractError(f"golden queries {set_name!r}", problems)
    for query_id, (text, tenant) in queries.items():
        if query_id in judged:
            yield GoldenQuery(query_id, text, judged[query_id], tenant)


def _queries(lines: Iterable[str], problems: list[str]) -> dict[str, tuple[str, str | None]]:
    queries: dict[str, tuple[str, str | None]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry: Any = json.loads(line)
            query_id, text = entry["_id"], entry["text"]
            tenant = (entry.get("metadata") or {}).get("tenant")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            problems.append(f"{QUERIES_FILE}:{number}: not an object with _id and text ({error})")
            continue
        if not isinstance(text, str) or not text.strip():
            problems.append(f"{QUERIES_FILE}:{number}: query {query_id!r} has no text")
        elif str(query_id) in queries:
            problems.append(f"{QUERIES_FILE}:{number}: query {query_id!r} is there twice")
        queries.setdefault(str(query_id), (str(text), None if tenant is None else str(tenant)))
    return queries


def _judgements(
    lines: Iterable[str], queries: dict[str, tuple[str, str | None]], problems: list[str]
) -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = {}
    for number, line in enumerate(lines, start=1):
        # A TSV has no quoting: a quote in a key is a quote.
        record = line.rstrip("\r\n").split("\t")
        if record == [""] or (number == 1 and record[-1] == "score"):
            continue
        if len(record) != 3 or not record[2].removeprefix("-").isdecimal():
            problems.append(
                f"{JUDGEMENTS_FILE}:{number}: not query, document and a whole-number gain"
            )
        elif record[0] not in queries:
            problems.append(
                f"{JUDGEMENTS_FILE}:{number}: query {record[0]!r} is not in {QUERIES_FILE}"
            )
        else:
            judged.setdefault(record[0], {})[record[1]] = int(record[2])
    return judged
