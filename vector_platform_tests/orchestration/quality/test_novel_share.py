"""A moved stream is accepted by a run, which proposes golden queries; another run decides them.

The lake is real, the backends are in memory, the runs are Dagster's own, in process.
"""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import dagster as dg
import pytest

from vector_platform.lake.decisions import Decisions
from vector_platform.lake.lake import Lake
from vector_platform.orchestration import keys
from vector_platform.orchestration.corpus.chunks import cut_documents
from vector_platform.orchestration.inputs import golden_inputs, recorded
from vector_platform.orchestration.launch import RunFailed, Runs
from vector_platform.orchestration.quality.golden_jobs import GoldenConfig
from vector_platform.orchestration.remediation.recalibration import RecalibrateConfig
from vector_platform.quality.retrieval.golden_proposals import GoldenProposals, Proposal
from vector_platform.quality.retrieval.measures import current_golden
from vector_platform.quality.sketches.references import newest_reference
from vector_platform_tests.lake.building import MODEL, open_lake
from vector_platform_tests.orchestration.acting import decided
from vector_platform_tests.orchestration.harness import MemoryPlatform, settings_of
from vector_platform_tests.quality.streams import NEWS_DAYS, USUAL_DAYS, date_of, sketch, with_news

NEWS = {"first_day": str(date_of(NEWS_DAYS[0])), "last_day": str(date_of(NEWS_DAYS[-1]))}
USUAL = {"first_day": str(date_of(USUAL_DAYS[0])), "last_day": str(date_of(USUAL_DAYS[-1]))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that has judged 28 days of news against 28 usual ones."""
    folder = tmp_path_factory.mktemp("stream")
    sketch(with_news(open_lake(folder)).lake, len(USUAL_DAYS))
    return folder


class Moved:
    """A deployment on that lake."""

    def __init__(
        self, lake: Lake, root: Path, instance: dg.DagsterInstance, **changes: Any
    ) -> None:
        quality = {"drift_min_rows": 20}
        self.platform = MemoryPlatform(settings_of(root, quality=quality, **changes))
        self.platform.lake = lake
        self.lake = lake
        self.runs = Runs(self.platform, instance=instance)

    def accept(self, actor: str = "ada", **days: str) -> dict[str, Any]:
        config = RecalibrateConfig(
            model_versions=[MODEL], reason="a new catalogue", actor=actor, **days
        )
        done = self.runs.job("recalibrate_reference", config)
        found: dict[str, Any] = done.output[MODEL]
        return found

    def decide(self, **decided: Any) -> dict[str, int]:
        config = GoldenConfig(reason="what people ask", actor="bea", **decided)
        done = self.runs.job("decide_golden_queries", config)
        found: dict[str, int] = done.output
        return found

    def proposals(self) -> list[Proposal]:
        return GoldenProposals(self.lake, run_id="test").all()

    def golden(self) -> list[tuple[str, str]]:
        rows = self.lake.golden_queries.read(["set_name", "query_id"]).to_pylist()
        return sorted((row["set_name"], row["query_id"]) for row in rows)


@pytest.fixture
def moved(root: Path, made: Path, tmp_path: Path, instance: dg.DagsterInstance) -> Moved:
    copytree(made / "lake", tmp_path / "lake")
    return Moved(open_lake(tmp_path), root, instance)


# -- accepting what has moved ---------------------------------------------------------------


def test_what_came_since_the_move_is_accepted_once_by_whoever_was_first(moved: Moved) -> None:
    done = moved.accept()
    days = {name: done[name] for name in ("first_day", "last_day")}
    assert NEWS["first_day"] <= days["first_day"] and days["last_day"] == NEWS["last_day"]
    assert (done["sequence"], done["changed"], done["accepted_by"]) == (2, True, "ada")
    assert done["golden_queries_proposed"] == len(moved.proposals()) > 0
    (one,) = decided(moved.platform, "recalibrate")
    after = f"{days['first_day']} to {days['last_day']}"
    assert (one.actor, one.before, one.after) == ("ada", "reference 1", after)
    versions = [table.version() for table in moved.lake.tables()]
    for again in (moved.accept("bob"), moved.accept("bob", **days)):
        assert (again["changed"], again["accepted_by"]) == (False, "ada")
        assert again["golden_queries_proposed"] == 0
    assert [table.version() for table in moved.lake.tables()] == versions


def test_days_that_are_the_first_reference_already_are_nobodys_decision(moved: Moved) -> None:
    done = moved.accept(**USUAL)
    assert (done["sequence"], done["changed"], done["accepted_by"]) == (1, False, "platform")
    assert decided(moved.platform) == [] and moved.proposals() == []


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ({"first_day": NEWS["first_day"]}, "name both"),
        ({"first_day": "March", "last_day": "April"}, "as YYYY-MM-DD"),
        ({"first_day": NEWS["last_day"], "last_day": NEWS["first_day"]}, "is before first_day"),
        ({"first_day": str(date_of(40)), "last_day": NEWS["last_day"]}, "22 day.s. from"),
    ],
)
def test_days_that_cannot_be_a_reference_are_refused(
    moved: Moved, days: dict[str, str], said: str
) -> None:
    with pytest.raises(RunFailed, match=said):
        moved.accept(**days)
    reference = newest_reference(moved.lake, MODEL)
    assert reference is not None and reference.sequence == 1
    assert decided(moved.platform) == [] and moved.proposals() == []


def test_a_run_that_is_cut_off_after_accepting_is_recorded_by_the_next_one_as_its_own(
    moved: Moved, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(self: Decisions, *args: Any, **kwargs: Any) -> None:
        raise OSError("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(Decisions, "record", cut_off)
        with pytest.raises(RunFailed, match="cut off"):
            moved.accept(**NEWS)
    assert decided(moved.platform) == []
    assert moved.accept("bob", **USUAL)["changed"]
    found = {one.subject: one.actor for one in decided(moved.platform, "recalibrate")}
    assert found == {f"{MODEL} reference 2": "ada", f"{MODEL} reference 3": "bob"}
    assert {one.provenance.partition("..")[0] for one in moved.proposals()} >= {
        f"proposed: novel share of {NEWS['first_day']}"
    }


# -- deciding what is proposed --------------------------------------------------------------


def test_accepted_queries_are_golden_beside_those_of_the_sources_and_stay_so(
    moved: Moved,
) -> None:
    moved.accept()
    moved.runs.materialize([keys.GOLDEN_QUERIES])
    before, inputs = moved.golden(), golden_inputs(moved.platform)
    one, two, three, *_ = [each.proposal_id for each in moved.proposals()]
    assert moved.decide(accept=[one, two], reject=[three]) == {"accepted": 2, "rejected": 1}
    both = sorted([*before, ("novel-share", one), ("novel-share", two)])
    assert moved.golden() == both
    golden = current_golden(moved.lake)
    assert golden is not None and f"novel-share/{one}" in golden.query_ids
    # What was made from other choices is out of date; these are followed at once.
    assert inputs != golden_inputs(moved.platform)
    assert recorded(moved.runs.instance, keys.GOLDEN_QUERIES) == golden_inputs(moved.platform)
    done = moved.runs.materialize([keys.GOLDEN_QUERIES])
    assert done.metadata["lake/golden_queries"]["changed"] == 0
    assert done.metadata["lake/golden_queries"]["accepted_proposals"] == 2
    assert moved.golden() == both
    assert moved.decide(reject=[one]) == {"accepted": 0, "rejected": 1}
    assert moved.golden() == sorted([*before, ("novel-share", two)])


def test_decisions_say_who_and_hold_no_text(moved: Moved) -> None:
    moved.accept()
    one, two, *_ = moved.proposals()
    for _ in range(2):
        moved.decide(accept=[one.proposal_id], reject=[two.proposal_id])
    found = decided(moved.platform)[1:]
    assert [(each.what, each.subject, each.before, each.after) for each in found] == [
        ("accept", one.proposal_id, "proposed", "accepted"),
        ("reject", two.proposal_id, "proposed", "rejected"),
    ]
    assert {(each.actor, each.why) for each in found} == {("bea", "what people ask")}
    appended = str(moved.lake.decisions.read().to_pylist())
    assert not [each for each in moved.proposals() if each.text in appended]


def test_an_erased_document_takes_its_queries_along_with_its_chunks(moved: Moved) -> None:
    moved.accept()
    one, two, *_ = moved.proposals()
    moved.decide(accept=[one.proposal_id, two.proposal_id])
    moved.lake.documents.merge(None, [(one.doc_id,)])
    _, facts = cut_documents(moved.platform, "test")
    assert facts["golden_queries_forgotten"] == 1
    for table in (moved.lake.chunks, moved.lake.golden_proposals, moved.lake.golden_queries):
        assert one.doc_id not in str(table.read().to_pylist()), table.spec.name
        assert one.text not in str(table.read().to_pylist()), table.spec.name
    assert ("novel-share", two.proposal_id) in moved.golden()


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (lambda ids: {"accept": ids, "reject": ids}, "either accepted or rejected"),
        (lambda ids: {"accept": [*ids, "gq-1"]}, "no proposals gq-1"),
    ],
)
def test_a_choice_that_cannot_be_made_changes_nothing(moved: Moved, choice: Any, said: str) -> None:
    moved.accept()
    ids = [each.proposal_id for each in moved.proposals()[:1]]
    with pytest.raises(RunFailed, match=said):
        moved.decide(**choice(ids))
    assert {each.state for each in moved.proposals()} == {"proposed"}
    assert len(decided(moved.platform)) == 1


def test_where_nothing_is_evaluated_proposals_are_rejected_at_most(
    moved: Moved, root: Path
) -> None:
    moved.accept()
    bare = Moved(moved.lake, root, moved.runs.instance, golden_queries={})
    one, two, *_ = [each.proposal_id for each in moved.proposals()]
    with pytest.raises(RunFailed, match="nothing is evaluated without golden_queries"):
        bare.decide(accept=[one])
    assert bare.decide(reject=[two]) == {"accepted": 0, "rejected": 1}
    assert moved.golden() == []
