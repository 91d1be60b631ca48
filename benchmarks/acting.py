"""Faults and answers: what the sensors start when one thing is wrong, over a matrix of faults.

Belongs here: putting a fault's verdicts (`acting_faults.py`) into the history of checks, ticking
the platform's own sensors on it, and counting right and wrong answers. Prints one table. The
verdicts are written as events, not measured; what measures them is tested on real data elsewhere.
Sensors, diagnosis, decisions and the record of decisions are the platform's own, on a real instance
and a real lake.

    python benchmarks/acting.py [--quick] [--seeds N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg
import yaml
from acting_faults import (
    BACKENDS,
    CANARY,
    CHUNKS,
    COMPLETE,
    DRIFT,
    KINDS,
    MODELS,
    PARITY,
    QUALITY,
    RECALL,
    REFUSED,
    STRENGTHS,
    VECTORS,
    Case,
    Shown,
    draw_case,
)
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.storage.tags import RUN_KEY_TAG
from dagster._core.test_utils import freeze_time
from measuring import PrintedTable, clean_up_when_told_to_stop, note
from scipy.stats import binomtest

from vector_platform.lake.decisions import Decisions
from vector_platform.lake.lake import Lake
from vector_platform.orchestration.build import build_definitions
from vector_platform.remediation.reactions import SENSORS
from vector_platform.wiring import Platform, load_settings

SEEDS = 25
QUICK_SEEDS = 3
# Of the runs that a fault has started, those that fail at their first attempt.
FAILING_RUNS = 0.1
HEADER = ("fault", "cases", "right", "wrong", "other runs", "re-embeddings", "twice")


@dataclass(frozen=True)
class Answer:
    """What the sensors did about one case.

    Attributes:
        right: Whether exactly the right thing was started or told, for exactly what is affected.
        others: Runs of other jobs, or for what is not affected.
        reembeddings: Runs of `reembed` although no model was changed.
        repeated: Runs beyond the first for the same measurement, but for failed ones.
    """

    right: bool
    others: int
    reembeddings: int
    repeated: int


class Deployment:
    """The platform's sensors on a small deployment; every case has an instance and a lake anew."""

    def __init__(self, root: Path) -> None:
        (root / "notices.csv").write_text("id,text\n1,nothing\n", encoding="utf-8")
        source = {"kind": "files", "path": "notices.csv", "fields": {"key": "id", "text": "text"}}
        described = {
            "start_date": "2026-01-01",
            "sources": {"notices": source},
            "models": {name: {"package": "wordllama", "kind": "static"} for name in MODELS},
            "acting": {"accept_reference": {"by": "auto"}},
        }
        file = root / "platform.yaml"
        file.write_text(yaml.safe_dump(described), encoding="utf-8")
        self.platform = Platform(load_settings(file, {}))
        self._definitions = build_definitions(
            settings=self.platform.settings, resources={"platform": self.platform}
        )
        repository = self._definitions.get_repository_def()
        self._sensors = {r.name: repository.get_sensor_def(r.name) for r in SENSORS}
        self._jobs = {r.name: r.job for r in SENSORS}

    def answer(self, case: Case, lake: Path) -> Answer:
        """Show a case to all sensors, for two days, and judge what they do."""
        # The platform opens its lake on first use and keeps it; each case has one of its own.
        self.platform.lake = Lake(str(lake))  # type: ignore[misc]
        draw = Random(f"answer/{case.kind}/{case.strength}/{case.seed}")
        now = datetime(2026, 1, 10, 5, tzinfo=UTC)
        started: list[tuple[str, dg.RunRequest, bool]] = []
        with dg.DagsterInstance.ephemeral() as instance:
            for model in MODELS:
                for shown in _baseline(model):
                    _report(instance, shown, str(uuid.uuid4()), now - timedelta(days=1))
            run_id = str(uuid.uuid4())
            for number, shown in enumerate(case.shown):
                _report(instance, shown, run_id, now + timedelta(seconds=number))
            # A tick at once, one after a failed run's wait, one after the night.
            for hours in (0.1, 1, 26):
                at = now + timedelta(hours=hours)
                names = list(self._sensors)
                draw.shuffle(names)
                for name in names:
                    for request in self._tick(name, instance, at):
                        fails = draw.random() < FAILING_RUNS
                        _play(instance, request, fails=fails)
                        started.append((self._jobs[name] or "", request, fails))
        return self._judge(case, started)

    def _tick(
        self, name: str, instance: dg.DagsterInstance, at: datetime
    ) -> Iterator[dg.RunRequest]:
        with (
            freeze_time(at),
            dg.build_sensor_context(
                instance=instance,
                definitions=self._definitions,
                resources={"platform": self.platform},
            ) as context,
        ):
            yield from self._sensors[name].evaluate_tick(context).run_requests or []

    def _judge(self, case: Case, started: list[tuple[str, dg.RunRequest, bool]]) -> Answer:
        mine = [run for run in started if run[0] == case.job and _is_about(run[1], case)]
        others = len(started) - len(mine)
        told = {
            (decision.before, decision.subject.split()[0])
            for decision in Decisions(self.platform.lake, run_id="benchmark").about()
            if decision.actor in ("tell_owners_of_bad_data", "quarantine_on_moved_slice")
        }
        failed = sum(fails for _, _, fails in mine)
        expected = {(case.kind, case.model)} if case.told else set()
        # A model's contract covers the chunks of all models: the other one's owner hears it, too.
        heard = {each for each in told if case.kind != "contract_broken" or each[1] == case.model}
        return Answer(
            right=others == 0 and bool(mine) == (case.job is not None) and heard >= expected,
            others=others,
            reembeddings=sum(job == "reembed" for job, _, _ in started)
            if case.kind != "model_changed"
            else 0,
            repeated=max(0, len(mine) - failed - 1),
        )


def _baseline(model: str) -> Iterator[Shown]:
    yield from (Shown(check, model) for check in (CANARY, VECTORS, COMPLETE, DRIFT))
    yield Shown(CHUNKS, None)
    yield Shown(QUALITY, model, facts={"verdict": "not worse"})
    yield from (Shown(c, model, backend=b) for c in (PARITY, REFUSED, RECALL) for b in BACKENDS)


def _report(instance: dg.DagsterInstance, shown: Shown, run_id: str, at: datetime) -> None:
    """Write a verdict to the history of checks, or that a check was planned and never ran."""
    key = _asset(shown)
    if shown.passed is None:
        run_id = str(uuid.uuid4())
        instance.add_run(
            dg.DagsterRun(job_name="day", run_id=run_id, status=dg.DagsterRunStatus.FAILURE)
        )
        kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
        of = DefaultPartitionsSubset({shown.model}) if shown.model else None
        data: Any = AssetCheckEvaluationPlanned(
            asset_key=key, check_name=shown.check, partitions_subset=of
        )
    else:
        kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        facts = {
            name: dg.MetadataValue.json(value) if isinstance(value, list) else value
            for name, value in shown.facts.items()
        }
        data = dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=shown.check,
            passed=shown.passed,
            partition=shown.model,
            metadata=facts,
        )
    event = dg.DagsterEvent(event_type_value=kind.value, job_name="day", event_specific_data=data)
    instance.report_dagster_event(event, run_id, timestamp=at.timestamp())


def _asset(shown: Shown) -> dg.AssetKey:
    if shown.backend:
        return dg.AssetKey([shown.backend, "documents"])
    if shown.check == QUALITY:
        return dg.AssetKey(["quality", "retrieval"])
    return dg.AssetKey(["lake", "chunks" if shown.check == CHUNKS else "embeddings"])


def _play(instance: dg.DagsterInstance, request: dg.RunRequest, *, fails: bool) -> None:
    """The run of a request, ended without its work."""
    status = dg.DagsterRunStatus.FAILURE if fails else dg.DagsterRunStatus.SUCCESS
    tags = {**request.tags, RUN_KEY_TAG: str(request.run_key)}
    instance.add_run(dg.DagsterRun(job_name="job", tags=tags, status=status))


def _is_about(request: dg.RunRequest, case: Case) -> bool:
    """Whether a run's configuration names what is affected, and nothing else."""
    (op,) = request.run_config["ops"].values()
    config = op["config"]
    if "targets" in config:
        wanted = [{"model_version": case.model, "backends": [case.backend]}]
        return bool(config["targets"] == wanted)
    if "model_versions" in config:
        return bool(config["model_versions"] == [case.model])
    backends = config.get("backends", [])
    return config["model_version"] == case.model and backends in ([], [case.backend])


def main() -> None:
    """Run the matrix and print it, with the share of right answers and its interval."""
    clean_up_when_told_to_stop()
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help=f"{QUICK_SEEDS} seeds.")
    options.add_argument("--seeds", type=int, default=SEEDS, help="Cases of each strength.")
    chosen = options.parse_args()
    seeds = QUICK_SEEDS if chosen.quick else chosen.seeds
    table = PrintedTable(HEADER, first_width=20)
    every: list[Answer] = []
    with tempfile.TemporaryDirectory(prefix="vector-platform-acting-") as place:
        root = Path(place)
        deployment = Deployment(root)
        for kind in KINDS:
            began = time.perf_counter()
            cases = [draw_case(kind, s, seed) for s in STRENGTHS for seed in range(seeds)]
            answers = [
                deployment.answer(case, root / f"lake-{kind}-{number}")
                for number, case in enumerate(cases)
            ]
            for case, answer in zip(cases, answers, strict=True):
                if not answer.right:
                    note(f"wrong: {replace(case, shown=())} {answer}")
            note(f"{kind}: {time.perf_counter() - began:.0f} s")
            table.add(_row(kind, answers))
            every += answers
        table.add(_row("all", every))
    right = sum(answer.right for answer in every)
    share = binomtest(right, len(every)).proportion_ci()
    print(f"\nright: {right / len(every):.2%} (95 %: {share.low:.2%} to {share.high:.2%})")


def _row(name: str, answers: list[Answer]) -> list[str]:
    right = sum(answer.right for answer in answers)
    return [
        name,
        str(len(answers)),
        f"{right / len(answers):.1%}",
        str(len(answers) - right),
        str(sum(answer.others for answer in answers)),
        str(sum(answer.reembeddings for answer in answers)),
        str(sum(answer.repeated for answer in answers)),
    ]


if __name__ == "__main__":
    main()
