"""The whole way with real runs: sources, dbt, lake and indexes, driven by the real automation.

Only the backends are in memory. Each dbt build costs seconds, so the tests share one deployment
and go on from where the one before ended, in the order of the file.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vector_platform.indexes.state import IndexStates
from vector_platform.orchestration.converge import StageResult, converge
from vector_platform.orchestration.corpus.quarantine_jobs import (
    QuarantineConfig,
    ReplayConfig,
    SliceConfig,
)
from vector_platform.orchestration.launch import Runs
from vector_platform.orchestration.partitions import DayOutOfRange
from vector_platform_tests.orchestration.harness import (
    AUTOMATIC,
    NEW,
    OLD,
    READERS,
    MemoryPlatform,
    Request,
    evaluate,
    settings_of,
    write_deployment,
)
from vector_platform_tests.orchestration.test_definitions import HEAVY, PROJECT
from vector_platform_tests.some import some

pytestmark = [pytest.mark.deep, pytest.mark.integration]

FIRST_DAY, NEXT_DAY = date(2024, 1, 2), date(2024, 1, 3)
HEADER = "id,title,body,at,team\n"
PARKING = "p1,Parking,The north car park is closed for repairs.,2024-01-02T08:00:00Z,site\n"
CANTEEN = "p2,Canteen,The canteen serves lunch from noon to two.,2024-01-02T09:00:00Z,people\n"
LIFTS = "p3,Lifts,The east lift is out of service until Friday.,2024-01-03T09:00:00Z,site\n"
# Days that every clock has behind it, and a sweep on a day that hardly ever comes.
CHANGES: dict[str, Any] = {
    "start_date": "2024-01-01",
    "schedules": {"sweep_nightly": "45 4 29 2 *"},
    "guard": {"max_delete_share": 0.5},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dagster's home."""
    return tmp_path_factory.mktemp("dagster")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Runs]:
    root = write_deployment(tmp_path_factory.mktemp("whole") / "home")
    (root / "notices.csv").write_text(HEADER + PARKING + CANTEEN, encoding="utf-8")
    platform = MemoryPlatform(settings_of(root, **CHANGES))
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield Runs(platform, instance=instance)


@pytest.fixture(scope="module")
def sensor(runs: Runs) -> Sensor:
    return Sensor(runs)


class Sensor:
    """The automation sensor on the real clock; what it asks for is executed."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._cursor: Any = None

    def tick(self) -> list[Request]:
        requests, self._cursor = evaluate(
            self._runs.definitions, self._runs.instance, self._cursor, at=None
        )
        return requests

    def follow(self) -> list[list[Request]]:
        """Tick and execute until nothing is asked for."""
        rounds = []
        while requests := self.tick():
            rounds.append(requests)
            for request in requests:
                self._runs.materialize(request.keys, partition=request.partition, tags=AUTOMATIC)
            assert len(rounds) < 8, rounds
        return rounds


def converged(runs: Runs, day: date) -> dict[str, StageResult]:
    return {stage.name: stage for stage in converge(runs, day)}


def indexed(runs: Runs, backend: Any, model_version: str) -> dict[str, str]:
    """doc_id -> text of what the newest generation of a backend holds."""
    index = runs.platform.target(backend)
    state = IndexStates(runs.platform.lake.index_state, backend, "documents").newest(model_version)
    assert state is not None
    assert state.status == "proven"
    return {row["doc_id"]: row["text"] for row in index.rows(state.identity).values()}  # type: ignore[attr-defined]


def test_a_fresh_deployment_converges_to_proven_live_indexes(runs: Runs, sensor: Sensor) -> None:
    assert sensor.tick() == []
    stages = converged(runs, FIRST_DAY)
    assert not [stage.failed_checks for stage in stages.values() if stage.failed_checks]
    assert all(stage.ran for stage in some(stages.values()))
    documents = {"notices:p1", "notices:p2", "guides:doors.md", "guides:printers.md"}
    for backend in ("milvus", "pinecone"):
        for model_version in (OLD, NEW):
            assert set(indexed(runs, backend, model_version)) == documents
        assert runs.platform.live_pointer(backend).live() is not None


def test_the_sensor_has_nothing_to_add_to_it(sensor: Sensor) -> None:
    assert sensor.tick() == []
    assert sensor.tick() == []


def test_converging_again_only_looks_at_the_sources(runs: Runs) -> None:
    before = runs.instance.get_runs_count()
    stages = converged(runs, FIRST_DAY)
    assert [name for name, stage in stages.items() if stage.changed] == []
    assert [name for name, stage in stages.items() if stage.ran] == [f"sources {FIRST_DAY}"]
    assert runs.instance.get_runs_count() == before + 1


def test_a_day_before_the_first_is_refused(runs: Runs) -> None:
    with pytest.raises(DayOutOfRange, match="start_date"):
        converged(runs, date(2023, 12, 31))


def test_a_landed_day_reaches_both_indexes_through_the_sensor(runs: Runs, sensor: Sensor) -> None:
    sensor.tick()
    root = runs.platform.settings.root
    (root / "notices.csv").write_text(HEADER + PARKING + CANTEEN + LIFTS, encoding="utf-8")
    (root / "guides" / "printers.md").unlink()
    (root / "guides" / "doors.md").write_text("# Doors\n\nUse the new badge.\n", encoding="utf-8")
    runs.job("ingest_day", partition=NEXT_DAY.isoformat())
    rounds = sensor.follow()
    assert [{request.partition for request in asked} for asked in rounds] == [{None}, {OLD, NEW}]
    assert all({"lake/embeddings", *READERS} == set(request.assets) for request in rounds[1])
    for backend in ("milvus", "pinecone"):
        for model_version in (OLD, NEW):
            found = indexed(runs, backend, model_version)
            assert set(found) == {"notices:p1", "notices:p2", "notices:p3", "guides:doors.md"}
            assert "new badge" in found["guides:doors.md"]


def test_after_the_sensor_there_is_nothing_left_to_converge(runs: Runs) -> None:
    stages = converged(runs, NEXT_DAY)
    assert [name for name, stage in stages.items() if stage.changed] == []


def test_a_quarantine_reaches_every_reader_through_the_sensor_and_so_does_a_replay(
    runs: Runs, sensor: Sensor
) -> None:
    sensor.tick()
    slices = [SliceConfig(source="notices", tenant="people")]
    people = QuarantineConfig(slices=slices, reason="a test")
    (held,) = runs.job("quarantine_slice", people).output
    rounds = sensor.follow()
    assert [{request.partition for request in asked} for asked in rounds] == [{OLD, NEW}]
    for backend in ("milvus", "pinecone"):
        found = indexed(runs, backend, OLD)
        assert set(found) == {"notices:p1", "notices:p3", "guides:doors.md"}
    config = ReplayConfig(quarantines=[held["quarantine_id"]], as_is=True, reason="a test")
    runs.job("replay_slice", config)
    sensor.follow()
    for backend in ("milvus", "pinecone"):
        assert "notices:p2" in indexed(runs, backend, NEW)
    assert [name for name, stage in converged(runs, NEXT_DAY).items() if stage.changed] == []


def test_converging_with_nothing_to_do_loads_no_model_library(runs: Runs, home: Path) -> None:
    script = f"""
import sys
from datetime import date
from pathlib import Path
import dagster as dg
from vector_platform.orchestration.converge import converge
from vector_platform.orchestration.launch import Runs
from vector_platform.wiring import load_settings
from vector_platform_tests.orchestration.harness import MemoryPlatform

settings = load_settings(Path({str(runs.platform.settings.root / "platform.yaml")!r}), {{}})
with dg.DagsterInstance.local_temp({str(home)!r}) as instance:
    runs = Runs(MemoryPlatform(settings), instance=instance)
    for _ in range(2):
        stages = converge(runs, date.fromisoformat("{NEXT_DAY}"))
        print([stage.name for stage in stages if stage.ran])
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, again, heavy = (ast.literal_eval(line) for line in done.stdout.splitlines()[-3:])
    # Backends in the memory of another process are empty: they are filled from the lake alone.
    assert first == [f"sources {NEXT_DAY}", *(f"embeddings and indexes {m}" for m in (OLD, NEW))]
    assert again == [f"sources {NEXT_DAY}"]
    assert heavy == []
