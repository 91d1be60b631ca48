"""The monitor after a cut-over: the pure decision, and going back on a real lake."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vector_platform.indexes.contract import IndexUnavailable
from vector_platform.releases.evaluation.measuring import MeasurementFailed
from vector_platform.releases.monitor.monitor import monitor_live
from vector_platform.releases.monitor.verdict import Measured, judge_release
from vector_platform.settings import Releases
from vector_platform_tests.releases.deployment import Deployment

BAND = Releases()


def measured(
    *, ms: float = 20.0, errors: int = 0, score: float = 0.6, probes: int = 100
) -> Measured:
    noise = np.random.default_rng(2).normal(size=probes)
    return Measured(
        (*(None,) * errors, *(float(ms + value) for value in noise[errors:])),
        {f"q{number:03d}": float(score + 0.05 * value) for number, value in enumerate(noise)},
    )


@pytest.mark.parametrize(
    ("after", "action", "why"),
    [
        (measured(), "keep", "within their band"),
        (measured(ms=30), "keep", ""),
        (measured(ms=100), "return", "latency"),
        (measured(errors=2), "keep", ""),
        (measured(errors=10), "return", "10.0% of the probes fail"),
        (measured(errors=100), "return", "100.0%"),
        (measured(score=0.59), "keep", ""),
        (measured(score=0.5), "return", "quality is 0.1000 lower"),
        (measured(score=0.9), "keep", ""),
    ],
)
def test_only_what_has_left_its_band_goes_back(after: Measured, action: str, why: str) -> None:
    found = judge_release(measured(), after, BAND)
    assert found.action == action and why in found.why
    assert judge_release(measured(), after, BAND) == found


def test_a_few_bad_numbers_prove_nothing() -> None:
    few = {"probes": 5}
    assert judge_release(measured(**few), measured(**few, ms=500, score=0.1), BAND).action == "keep"


def test_latency_that_nobody_notices_is_no_reason() -> None:
    quick = Measured((0.1,) * 100)
    assert judge_release(quick, Measured((2.0,) * 100), BAND).action == "keep"


def test_a_probe_without_an_answer_does_not_unpair_the_others() -> None:
    usual = np.random.default_rng(0).lognormal(2.5, 1.0, size=100).tolist()
    slower = [2.2 * ms for ms in usual]
    for place in (0, 50, 99):
        before = Measured((*usual[:place], None, *usual[place + 1 :]))
        found = judge_release(before, Measured(tuple(slower)), BAND)
        assert found.action == "return" and "p95 latency is 2.2 times" in found.why
    nothing = judge_release(Measured((None,) * 10), Measured((1.0,) * 10), BAND)
    assert nothing.action == "keep" and "latency_ratio" not in nothing.numbers


@pytest.fixture
def world(tmp_path: Path) -> Deployment:
    """`g0002` has replaced `g0001` a moment ago."""
    made = Deployment(tmp_path)
    made.service().release(made.sync().sync("old.v1").generation, actor="ann", reason="first")
    made.service().release(made.sync().build("old.v1").generation, actor="ann", reason="rebuild")
    made.now = made.pointer().history()[-1].released_at + timedelta(minutes=1)
    return made


def break_live(world: Deployment, monkeypatch: pytest.MonkeyPatch, *generations: str) -> None:
    target = world.target()
    search = target.search

    def broken(generation: Any, *args: Any, **kwargs: Any) -> Any:
        if generation.name in generations:
            raise IndexUnavailable("no answer")
        return search(generation, *args, **kwargs)

    monkeypatch.setattr(target, "search", broken)


def test_a_healthy_release_is_kept_and_that_is_recorded(world: Deployment) -> None:
    found = monitor_live(world.service())
    assert found is not None and found.action == "keep"
    assert world.pointer().live_generation().generation == "g0002"
    last = world.service().store.decisions.about()[-1]
    assert (last.what, last.subject) == ("keep", "milvus/documents/g0002")
    (kept,) = world.lake.evaluations.read(
        where=[("evaluation_id", "in", list(last.evidence))]
    ).to_pylist()
    assert (kept["kind"], kept["sample_size"]) == ("post_release", 12)


def test_a_release_that_stops_answering_goes_back_and_stays_back(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_live(world, monkeypatch, "g0002")
    found = monitor_live(world.service())
    assert found is not None and found.action == "return"
    assert world.pointer().live_generation().generation == "g0001"
    (back,) = [d for d in world.service().store.decisions.about() if d.what == "return"]
    assert (back.actor, back.before, back.after) == ("monitor_releases", "g0002", "g0001")
    assert back.evidence
    assert monitor_live(world.service()) is None, "what came back is not monitored into a seesaw"
    monkeypatch.undo()
    state = next(s for s in world.sync().states.present() if s.generation == "g0002")
    again = world.service().release(state, actor="nightly", reason="r", automatic=True)
    assert again.request.state == "rejected"


def test_an_outage_is_an_error_and_no_verdict(
    world: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_live(world, monkeypatch, "g0001", "g0002")
    with pytest.raises(MeasurementFailed):
        monitor_live(world.service())
    assert world.pointer().live_generation().generation == "g0002"


def test_an_old_release_and_a_first_one_are_left_alone(world: Deployment, tmp_path: Path) -> None:
    world.now += timedelta(minutes=61)
    assert monitor_live(world.service()) is None
    first = Deployment(tmp_path / "first")
    first.service().release(first.sync().sync("old.v1").generation, actor="ann", reason="first")
    first.now = first.pointer().history()[-1].released_at
    assert monitor_live(first.service()) is None
