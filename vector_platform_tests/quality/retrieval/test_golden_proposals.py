"""Golden queries for what a reference did not explain: which, with what text, and their end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_platform.lake.contract import DOCUMENTS
from vector_platform.lake.lake import Lake
from vector_platform.lake.slices.quarantine import SliceQuarantine
from vector_platform.lake.slices.slices import Slice
from vector_platform.quality.drift.calibration import first_reference, recalibrate_reference
from vector_platform.quality.retrieval.golden_proposals import (
    ACCEPTED_SET,
    PROPOSED_AT_ONCE,
    BadProposal,
    GoldenProposals,
    Proposal,
)
from vector_platform.quality.retrieval.known_items import known_items, opening_of
from vector_platform.quality.sketches.references import Reference, newest_reference
from vector_platform_tests.lake.building import MODEL, open_lake
from vector_platform_tests.quality.streams import (
    NEWS_DAYS,
    USUAL_DAYS,
    Stream,
    date_of,
    vectors,
    with_news,
)

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose news have been accepted after 28 usual days."""
    folder = tmp_path_factory.mktemp("stream")
    stream = with_news(open_lake(folder))
    versions = stream.lake.versions_by_day()
    assert first_reference(stream.lake, MODEL, versions, days=len(USUAL_DAYS), run_id="r")
    accept(stream.lake)
    return folder


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Lake:
    copytree(made / "lake", tmp_path / "lake")
    return open_lake(tmp_path)


def accept(lake: Lake) -> Reference:
    return recalibrate_reference(
        lake,
        MODEL,
        first_day=date_of(NEWS_DAYS[0]),
        last_day=date_of(NEWS_DAYS[-1]),
        actor="ann",
        reason="a new product line",
        evaluation_id=None,
        run_id="r",
    )


def newest(lake: Lake) -> Reference:
    reference = newest_reference(lake, MODEL)
    assert reference is not None
    return reference


def proposals(lake: Lake) -> GoldenProposals:
    return GoldenProposals(lake, run_id="r")


def proposed(lake: Lake) -> list[Proposal]:
    return proposals(lake).propose(newest(lake), now=NOW)


def rewrite(lake: Lake, doc_id: str, **changes: str) -> None:
    """Documents that a source changes, as the marts publish them."""
    (row,) = lake.documents.read(where=[("doc_id", "==", doc_id)]).to_pylist()
    lake.documents.merge(pa.Table.from_pylist([row | changes], schema=DOCUMENTS.schema))


# -- which documents, and with what text ----------------------------------------------------


def test_proposals_ask_for_new_content_and_wait(lake: Lake) -> None:
    found = proposed(lake)
    assert len(found) == PROPOSED_AT_ONCE
    # Three eighths of the accepted days are new; a choice at random would hold as little.
    assert sum(one.doc_id.startswith("new:") for one in found) >= 0.9 * len(found)
    assert {one.tenant for one in found} == {"acme", "bolt"}
    assert {one.state for one in found} == {"proposed"}
    assert proposals(lake).accepted().num_rows == 0
    (provenance,) = {one.provenance for one in found}
    assert provenance == (
        f"proposed: novel share of {date_of(28)}..{date_of(61)}, not explained by reference 1 of "
        f"{MODEL} ({date_of(0)}..{date_of(27)})"
    )
    bodies = dict(
        zip(
            *(lake.documents.read(["doc_id", "body"]).column(n).to_pylist() for n in (0, 1)),
            strict=True,
        )
    )
    for one in found:
        assert bodies[one.doc_id].startswith(one.text)
        assert len(one.text) <= len(bodies[one.doc_id]) / 2


def test_a_reference_proposes_once_and_the_same_lake_gives_the_same_queries(
    lake: Lake, made: Path, tmp_path: Path
) -> None:
    copytree(made / "lake", tmp_path / "twin" / "lake")
    found = proposed(lake)
    assert found == proposed(open_lake(tmp_path / "twin"))
    version = lake.golden_proposals.version()
    assert proposed(lake) == []
    assert lake.golden_proposals.version() == version


def test_the_first_reference_proposes_nothing(lake: Lake) -> None:
    first = newest_reference(lake, MODEL, before=2)
    assert first is not None and first.sequence == 1
    assert proposals(lake).propose(first, now=NOW) == []


def test_documents_that_are_asked_for_already_are_not_proposed_again(lake: Lake) -> None:
    asked = proposed(lake)
    lake.golden_proposals.remove([("state", "==", "proposed")])
    rows = [one.golden_query() | {"set_name": "known"} for one in asked]
    lake.golden_queries.append(pa.Table.from_pylist(rows, schema=lake.golden_queries.spec.schema))
    again = proposed(lake)
    assert again and not {one.doc_id for one in again} & {one.doc_id for one in asked}


def test_of_more_of_the_same_nothing_is_asked(tmp_path: Path) -> None:
    stream = Stream(open_lake(tmp_path))
    stream.add_days({day: vectors(stream.rng, 20) for day in range(2 * len(USUAL_DAYS))})
    versions = stream.lake.versions_by_day()
    old = first_reference(stream.lake, MODEL, versions, days=len(USUAL_DAYS), run_id="r")
    assert old is not None
    later = replace(old, first_day=date_of(28), last_day=date_of(55))
    assert known_items(stream.lake, old, later, count=30) == []


def test_a_title_is_the_query_unless_another_document_of_the_tenant_has_it(lake: Lake) -> None:
    one, two, three, four, *_ = [each.doc_id for each in proposed(lake) if each.tenant == "acme"]
    elsewhere = lake.documents.read(["doc_id"], where=[("tenant", "==", "bolt")])
    rewrite(lake, one, title="The reactor hums at night")
    rewrite(lake, elsewhere.column(0)[0].as_py(), title="The reactor hums at night")
    rewrite(lake, two, title="Weekly report")
    rewrite(lake, three, title="weekly report")
    rewrite(lake, four, title="Memo")
    lake.golden_proposals.remove([("state", "==", "proposed")])
    texts = {each.doc_id: each.text for each in proposed(lake)}
    assert texts[one] == "The reactor hums at night"
    assert not {"weekly report", "memo"} & {text.lower() for text in texts.values()}
    assert {two, three, four} <= set(texts), "they are asked for by how they begin"


def test_texts_that_several_documents_share_are_no_queries(lake: Lake) -> None:
    rows = lake.documents.read(where=[("source", "==", "new")]).to_pylist()
    regret = "We regret to inform you."
    for between in (" ", "\n"):
        alike = [row | {"body": f"{regret}{between}{row['body']}"} for row in rows]
        lake.documents.merge(pa.Table.from_pylist(alike, schema=DOCUMENTS.schema))
        texts = [each.text for each in proposed(lake) if each.doc_id.startswith("new:")]
        # What follows in the same line tells them apart; of the same first line nothing does.
        assert bool(texts) == (between == " ")
        assert all(text.startswith(regret) and text != regret for text in texts)
        lake.golden_proposals.remove([("state", "==", "proposed")])


@pytest.mark.parametrize(
    ("title", "body", "opening"),
    [
        ("", "The pump leaks. It began on Monday, after the frost.", "The pump leaks."),
        ("Pumps", "# Pumps\n\nThe pump leaks. It began on Monday.", "The pump leaks."),
        ("", "A single sentence of eight words in all", "A single sentence"),
        ("", "Why? Because it is so, as everybody knows.", "Why?"),
        ("", "", ""),
        ("Only", "Only", ""),
    ],
)
def test_an_opening_is_the_first_sentence_and_at_most_half(
    title: str, body: str, opening: str
) -> None:
    assert opening_of(title, body) == opening


@given(st.text(), st.text(max_size=400))
def test_an_opening_is_a_piece_of_the_text_and_never_all_of_it(title: str, body: str) -> None:
    for sentence in (True, False):
        opening = opening_of(title, body, sentence=sentence)
        assert opening in body
        assert len(opening) <= len(body) / 2 and len(opening) <= 160


# -- what becomes of them -------------------------------------------------------------------


def gather(lake: Lake) -> list[str]:
    """What the asset does with accepted ones. Returns their documents."""
    lake.golden_queries.replace(proposals(lake).accepted())
    return sorted(lake.golden_queries.read(["doc_id"]).column(0).to_pylist())


def test_what_is_accepted_is_golden_until_it_is_rejected(lake: Lake) -> None:
    one, two, three, *_ = proposed(lake)
    ids = [one.proposal_id, two.proposal_id]
    assert [each.state for each in proposals(lake).decide(ids, "accepted", actor="ann")] == [
        "accepted"
    ] * 2
    proposals(lake).decide([three.proposal_id], "rejected", actor="ann")
    assert gather(lake) == sorted([one.doc_id, two.doc_id])
    (row,) = lake.golden_queries.read(where=[("query_id", "==", one.proposal_id)]).to_pylist()
    assert (row["set_name"], row["text"], row["tenant"]) == (ACCEPTED_SET, one.text, one.tenant)
    assert row["provenance"] == f"{one.provenance}; accepted by ann"
    proposals(lake).decide([one.proposal_id], "rejected", actor="bob")
    assert gather(lake) == [two.doc_id]


def test_unknown_proposals_are_all_named_and_nothing_is_decided(lake: Lake) -> None:
    one, *_ = proposed(lake)
    with pytest.raises(BadProposal, match="gq-1, gq-2"):
        proposals(lake).decide(["gq-2", one.proposal_id, "gq-1"], "accepted", actor="ann")
    assert proposals(lake).accepted_ids() == []


def erase(lake: Lake, doc_id: str) -> None:
    lake.documents.merge(None, [(doc_id,)])


def redact(lake: Lake, doc_id: str) -> None:
    rewrite(lake, doc_id, body="[removed at the author's request]")


@pytest.mark.parametrize("end", [erase, redact])
@pytest.mark.parametrize("state", ["proposed", "accepted", "rejected"])
def test_what_was_made_from_an_erased_text_goes_with_it(
    lake: Lake, state: str, end: Callable[[Lake, str], None]
) -> None:
    one, two, *_ = proposed(lake)
    proposals(lake).decide([two.proposal_id], "accepted", actor="ann")
    if state != "proposed":
        proposals(lake).decide([one.proposal_id], state, actor="ann")  # type: ignore[arg-type]
    gather(lake)
    assert proposals(lake).forget() == 0
    end(lake, one.doc_id)
    assert proposals(lake).forget() == 1
    for table in (lake.golden_proposals, lake.golden_queries):
        assert one.text not in str(table.read().to_pylist())
    assert gather(lake) == [two.doc_id]
    version = lake.golden_proposals.version()
    assert proposals(lake).forget() == 0
    assert lake.golden_proposals.version() == version


def test_a_change_that_keeps_the_text_keeps_the_query(lake: Lake) -> None:
    one, *_ = proposed(lake)
    rewrite(lake, one.doc_id, title="A title", attributes='{"price": 3}', row_hash="1")
    assert proposals(lake).forget() == 0


def test_a_golden_query_that_was_gathered_while_its_text_was_forgotten_goes_too(lake: Lake) -> None:
    one, *_ = proposed(lake)
    proposals(lake).decide([one.proposal_id], "accepted", actor="ann")
    rows = proposals(lake).accepted()
    other = rows.set_column(0, rows.schema.field(0), pa.array(["known"]))
    erase(lake, one.doc_id)
    assert proposals(lake).forget() == 1
    lake.golden_queries.replace(pa.concat_tables([rows, other]))
    assert proposals(lake).forget() == 1
    left = lake.golden_queries.read(["set_name"]).column(0).to_pylist()
    assert left == ["known"], "what people have written is theirs"


def test_documents_in_quarantine_are_neither_shown_nor_accepted(lake: Lake) -> None:
    bolt = [one.proposal_id for one in proposed(lake) if one.tenant == "bolt"]
    SliceQuarantine(lake).add(
        Slice(tenant="bolt"), actor="ann", reason="debris", run_id="r", now=NOW
    )
    assert {one.tenant for one in proposals(lake).all()} == {"acme"}
    with pytest.raises(BadProposal, match=bolt[0]):
        proposals(lake).decide([bolt[0]], "accepted", actor="ann")
    assert proposals(lake).forget() == 0


def test_proposals_are_listed_with_the_strangest_first(lake: Lake) -> None:
    proposed(lake)
    novelty = [one.novelty for one in proposals(lake).all()]
    assert novelty == sorted(novelty, reverse=True)
    assert np.all(np.array(novelty) > 0)
