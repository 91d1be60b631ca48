"""Answers that another model changes, for a person to look at before they approve it.

Belongs here: which of the asked queries changed most, and the words that their ids stand for.

Only ids are kept with the evidence. Texts are looked up when they are shown, so what has been
erased from the lake is not found in an old report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vector_platform.lake.contract import hash_text
from vector_platform.lake.lake import Lake
from vector_platform.releases.evaluation.probes import Answer, Probe

# What a person reads in a few minutes.
SHOWN = 10
# Documents of each answer: what a reader sees without scrolling.
BEST = 3


@dataclass(frozen=True)
class ChangedAnswer:
    """A query that two models answer differently.

    Attributes:
        query_id: Which query.
        tenant: Whom it was asked for; None for all tenants.
        before: Documents that the live model finds, best first.
        after: Documents that the other finds.
    """

    query_id: str
    tenant: str | None
    before: tuple[str, ...]
    after: tuple[str, ...]


def changed_answers(
    probes: Sequence[Probe], before: Sequence[Answer], after: Sequence[Answer]
) -> tuple[ChangedAnswer, ...]:
    """The queries whose best documents changed most: new first answers, then fewest in common.

    Args:
        probes: What was asked.
        before: Answers of the live generation, in that order.
        after: Answers of the other.
    """
    found = [
        ChangedAnswer(probe.query_id, probe.tenant, _documents(old), _documents(new))
        for probe, old, new in zip(probes, before, after, strict=True)
    ]
    changed = [one for one in found if one.before != one.after]
    return tuple(sorted(changed, key=_order)[:SHOWN])


def names_of(lake: Lake, changed: Iterable[ChangedAnswer]) -> dict[str, str]:
    """Texts of queries and titles of documents, by id; ids without one are left out."""
    shown = list(changed)
    if not shown:
        return {}
    texts = {
        f"{row['set_name']}/{row['query_id']}": row["text"]
        for row in lake.golden_queries.read(["set_name", "query_id", "text"]).to_pylist()
    }
    wanted = sorted({doc_id for one in shown for doc_id in (*one.before, *one.after)})
    rows = lake.documents.read(["doc_id", "title"], where=[("doc_id", "in", wanted)]).to_pylist()
    titles = {row["doc_id"]: row["title"] for row in rows if row["title"]}
    return {one.query_id: texts[one.query_id] for one in shown if one.query_id in texts} | titles


def rows_of(
    changed: Iterable[ChangedAnswer], names: Mapping[str, str]
) -> list[tuple[str, str, str, str]]:
    """(query, tenant, live answers, new answers) to be shown, with names where there are some."""
    return [
        (
            names.get(one.query_id, one.query_id),
            one.tenant or "",
            _listed(one.before, names),
            _listed(one.after, names),
        )
        for one in changed
    ]


def _documents(answer: Answer) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hit.doc_id for hit in answer.hits))[:BEST]


def _order(one: ChangedAnswer) -> tuple[bool, int, str]:
    same_first = one.before[:1] == one.after[:1]
    return same_first, len(set(one.before) & set(one.after)), hash_text(one.query_id)


def _listed(doc_ids: Sequence[str], names: Mapping[str, str]) -> str:
    named = (names.get(doc_id, doc_id) for doc_id in doc_ids)
    return "; ".join(f"{place}. {name}" for place, name in enumerate(named, 1)) or "nothing"
