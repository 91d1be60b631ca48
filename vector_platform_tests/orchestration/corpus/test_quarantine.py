"""A slice that moved: its owner is told, it is kept from readers, and given back when mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest

from vector_platform.lake.slices.quarantine import SliceQuarantine
from vector_platform.lake.slices.slices import Slice
from vector_platform.orchestration import keys
from vector_platform.orchestration.corpus.chunks import cut_documents
from vector_platform.orchestration.corpus.quarantine_jobs import (
    QuarantineConfig,
    ReplayConfig,
    SliceConfig,
)
from vector_platform.orchestration.inputs import chunk_inputs, recorded
from vector_platform.orchestration.launch import RunFailed, Runs
from vector_platform_tests.corpus.test_chunks import document
from vector_platform_tests.lake import building
from vector_platform_tests.lake.slices.test_quarantine import put
from vector_platform_tests.orchestration.acting import (
    AUTO,
    GUIDES,
    QUARANTINE,
    World,
    as_if_run,
    decided,
)
from vector_platform_tests.orchestration.harness import NEW, OLD, MemoryPlatform
from vector_platform_tests.orchestration.verdicts import Sensor, moved_slices, run_checks


def guide(number: int, body: str = "A body.", tenant: str = "acme") -> dict[str, Any]:
    moment = datetime(2026, 3, 7 + number, tzinfo=UTC)
    named = {"doc_id": f"guides:{number}", "source": "guides"}
    return document(str(number), body, tenant=tenant, updated_at=moment) | named


@dataclass(frozen=True)
class Stocked:
    """A deployment whose chunks come from documents: five of one tenant, one of another."""

    platform: MemoryPlatform
    instance: dg.DagsterInstance

    @property
    def served(self) -> list[str]:
        rows = self.platform.lake.chunks.read(["doc_id"]).column("doc_id").to_pylist()
        return sorted(rows)

    def run(self, job: str, config: dg.Config) -> list[dict[str, Any]]:
        runs = Runs(self.platform, instance=self.instance)
        found: list[dict[str, Any]] = runs.job(job, config).output
        return found

    def quarantine(self, **slice_: str) -> dict[str, Any]:
        config = QuarantineConfig(slices=[SliceConfig(**slice_)], actor="ann", reason="debris")
        (held,) = self.run("quarantine_slice", config)
        return held

    def replay(self, held: dict[str, Any], **more: Any) -> dict[str, Any]:
        config = ReplayConfig(
            quarantines=[held["quarantine_id"]], actor="bob", reason="mended", **more
        )
        (ended,) = self.run("replay_slice", config)
        return ended


Stock = Callable[..., Stocked]


@pytest.fixture
def stock(world: World, instance: dg.DagsterInstance) -> Stock:
    def build(**changes: Any) -> Stocked:
        platform = world(**changes)
        put(platform.lake, *(guide(n) for n in range(5)), guide(5, tenant="zeta"))
        cut_documents(platform, "test")
        for model_version in (OLD, NEW):
            building.embed(platform.lake, model_version)
        return Stocked(platform, instance)

    return build


@pytest.fixture
def stocked(stock: Stock) -> Stocked:
    return stock()


# -- the sensor -----------------------------------------------------------------------------


def test_the_owner_of_a_slice_that_moved_is_told_and_nothing_is_started(
    stocked: Stocked,
) -> None:
    run_checks(stocked.instance, OLD, moved_slices("e1", GUIDES))
    sensor = Sensor(QUARANTINE, stocked.platform, stocked.instance)
    for _ in range(2):
        assert sensor.tick() == []
    owner = stocked.platform.settings.owner
    assert f"owner: {owner}; a person decides on quarantine_slice" in sensor.skipped
    (told,) = decided(stocked.platform)
    assert (told.what, told.before) == ("suppress", "slice_moved")
    assert told.subject == f"{OLD} tenant acme source guides since 2026-03-09"


def test_where_the_policy_says_so_what_moved_is_kept_from_readers(stock: Stock) -> None:
    stocked = stock(acting=AUTO)
    run_checks(stocked.instance, OLD, moved_slices("e1", GUIDES))
    sensor = Sensor(QUARANTINE, stocked.platform, stocked.instance)
    (request,) = sensor.tick()
    assert sensor.start(request).success
    # From the first day of what moved; what was there before, and others, stay.
    assert stocked.served == ["guides:0", "guides:1", "guides:5"]
    (held,) = SliceQuarantine(stocked.platform.lake).open()
    assert held.slice == Slice("guides", "acme", date(2026, 3, 9))
    assert (held.actor, held.evaluation_id) == (QUARANTINE, "e1")
    (decision,) = decided(stocked.platform, "quarantine")
    assert (decision.subject, decision.evidence) == (held.quarantine_id, ("e1",))
    # The same measurement never acts twice.
    assert sensor.tick() == []


@pytest.mark.deep
def test_a_slice_that_hardly_changed_is_left_alone_and_nobody_is_told(stock: Stock) -> None:
    stocked = stock(acting=AUTO)
    hardly = GUIDES | {"novel_share_low": 0.02, "acts": False}
    run_checks(stocked.instance, OLD, moved_slices("e1", hardly))
    sensor = Sensor(QUARANTINE, stocked.platform, stocked.instance)
    assert sensor.tick() == []
    assert "at least 0.02 of it is new, which is below what acts" in sensor.skipped
    assert "owner" not in sensor.skipped
    (left,) = decided(stocked.platform)
    assert (left.what, left.before, left.why) == (
        "suppress",
        "slice_moved",
        sensor.skipped.partition(": ")[2],
    )
    # Once more of it is new, it is acted on: to watch is not to have answered.
    run_checks(stocked.instance, OLD, moved_slices("e2", GUIDES))
    assert len(sensor.tick()) == 1


def test_of_two_slices_only_the_one_that_changed_is_quarantined(stock: Stock) -> None:
    stocked = stock(acting=AUTO)
    hardly = GUIDES | {"tenant": "zeta", "novel_share_low": 0.02, "acts": False}
    run_checks(stocked.instance, OLD, moved_slices("e1", GUIDES, hardly))
    (request,) = Sensor(QUARANTINE, stocked.platform, stocked.instance).tick()
    config = request.run_config["ops"]["quarantine"]["config"]
    assert [one["tenant"] for one in config["slices"]] == ["acme"]


@pytest.mark.deep
def test_a_slice_that_moved_under_two_models_is_quarantined_once(stock: Stock) -> None:
    stocked = stock(acting=AUTO)
    for model_version in (OLD, NEW):
        run_checks(stocked.instance, model_version, moved_slices(f"e-{model_version}", GUIDES))
    sensor = Sensor(QUARANTINE, stocked.platform, stocked.instance)
    (request,) = sensor.tick()
    assert sensor.start(request).success
    assert len(SliceQuarantine(stocked.platform.lake).all()) == 1


@pytest.mark.deep
def test_a_second_slice_does_not_wait_for_the_first_ones_cooldown(stock: Stock) -> None:
    stocked = stock(acting=AUTO)
    sensor = Sensor(QUARANTINE, stocked.platform, stocked.instance)
    run_checks(stocked.instance, OLD, moved_slices("e1", GUIDES))
    as_if_run(stocked.instance, sensor.tick()[0])
    later = GUIDES | {"since": "2026-03-10"}
    run_checks(stocked.instance, OLD, moved_slices("e2", later, GUIDES | {"tenant": "zeta"}))
    (request,) = sensor.tick()
    config = request.run_config["ops"]["quarantine"]["config"]
    assert [one["tenant"] for one in config["slices"]] == ["zeta"]


# -- the jobs -------------------------------------------------------------------------------


def test_a_quarantine_leaves_nothing_to_cut_and_is_written_down(stocked: Stocked) -> None:
    held = stocked.quarantine(source="guides", tenant="acme", since="2026-03-10")
    assert held["documents"] == 2
    assert stocked.served == [f"guides:{n}" for n in (0, 1, 2, 5)]
    assert recorded(stocked.instance, keys.CHUNKS) == chunk_inputs(stocked.platform)
    again = stocked.quarantine(source="guides", tenant="acme", since="2026-03-11")
    assert again["quarantine_id"] == held["quarantine_id"]
    (decision,) = decided(stocked.platform, "quarantine")
    assert (decision.actor, decision.why) == ("ann", "debris")
    assert decision.after == "source guides tenant acme since 2026-03-10"


def test_a_replay_gives_back_what_was_mended_and_only_that(stocked: Stocked) -> None:
    held = stocked.quarantine(source="guides", tenant="acme", since="2026-03-10")
    with pytest.raises(RunFailed, match="no document changed since"):
        stocked.replay(held)
    assert decided(stocked.platform, "replay") == []
    put(stocked.platform.lake, guide(4, "Mended."))
    assert stocked.replay(held)["lifted_by"] == "bob"
    rows = stocked.platform.lake.chunks.read(["doc_id", "text"]).to_pylist()
    assert {row["doc_id"] for row in rows} == {f"guides:{n}" for n in range(6)}
    assert "Mended." in {row["text"] for row in rows}
    assert recorded(stocked.instance, keys.CHUNKS) == chunk_inputs(stocked.platform)
    (decision,) = decided(stocked.platform, "replay")
    assert (decision.actor, decision.why) == ("bob", "mended")


@pytest.mark.deep
def test_what_nobody_mended_is_given_back_only_as_it_is(stocked: Stocked) -> None:
    before = stocked.served
    held = stocked.quarantine(tenant="acme")
    assert stocked.served == ["guides:5"]
    stocked.replay(held, as_is=True)
    assert stocked.served == before


@pytest.mark.parametrize(
    ("slice_", "message"),
    [
        ({}, "name the source or the tenant"),
        ({"source": "guide"}, "was not started: .* guides .* got guide"),
        ({"tenant": "nobody"}, "no document of tenant nobody"),
    ],
)
def test_a_slice_that_is_a_slip_changes_nothing(
    slice_: dict[str, str], message: str, stocked: Stocked
) -> None:
    before = stocked.served
    with pytest.raises(RunFailed, match=message):
        stocked.quarantine(**slice_)
    assert stocked.served == before
    assert SliceQuarantine(stocked.platform.lake).all() == []


@pytest.mark.usefixtures("at_once")
def test_a_quarantine_that_died_before_its_chunks_followed_is_finished_by_the_next_cut(
    stocked: Stocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise ConnectionError("gone")

    Runs(stocked.platform, instance=stocked.instance).materialize([keys.CHUNKS])
    assert recorded(stocked.instance, keys.CHUNKS) == chunk_inputs(stocked.platform)
    with monkeypatch.context() as patched, pytest.raises(RunFailed, match="gone"):
        patched.setattr("vector_platform.orchestration.corpus.quarantine_jobs.cut_documents", die)
        stocked.quarantine(tenant="zeta")
    assert recorded(stocked.instance, keys.CHUNKS) != chunk_inputs(stocked.platform)
    cut_documents(stocked.platform, "next")
    assert "guides:5" not in stocked.served
