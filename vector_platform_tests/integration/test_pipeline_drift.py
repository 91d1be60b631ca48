"""What follows from failed checks: check, sensor, job, on one deployment, in order."""

from __future__ import annotations

import getpass
import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vector_platform.indexes.backends.milvus.names import collection_name
from vector_platform.orchestration import keys
from vector_platform.orchestration.converge import RETRIEVAL, StageResult
from vector_platform.orchestration.showing import unfolded
from vector_platform.remediation.reactions import SENSORS
from vector_platform_tests.integration.deployments import BACKENDS, WORDS, Deployment, running
from vector_platform_tests.orchestration.verdicts import Sensor
from vector_platform_tests.some import some

pytestmark = [pytest.mark.deep, pytest.mark.integration]

# The first landing brings the reference days, which lie before it, and one day more.
DAYS = [date(2026, 2, day) for day in range(5, 8)]
REFERENCE_DAYS = 28
EMBEDDED = f"embeddings and indexes {WORDS}"
DRIFT = "lake/embeddings:distribution_has_not_drifted"
ROWS_A_DAY = 60

SERVERS = {
    "subject": ["The load balancer", "A database replica", "The message queue", "Our cache node"],
    "verb": ["restarts", "rejects connections", "drops packets", "fails its health check"],
    "cause": ["after the deployment", "when memory is full", "behind the proxy", "without logs"],
    "end": ["in region one", "on port 8080", "under heavy traffic", "during failover"],
}
KITCHEN = {
    "subject": ["The sourdough bread", "A lemon risotto", "The pumpkin soup", "Our plum cake"],
    "verb": ["simmers gently", "needs more butter", "rests overnight", "turns golden"],
    "cause": ["with fresh thyme", "beside roasted garlic", "in olive oil", "under brown sugar"],
    "end": ["for six guests", "until dinner", "on a low flame", "before dessert"],
}


def add_cases(root: Path, words: dict[str, list[str]], day: date) -> None:
    """A day's cases, each of its own text; nothing but the words tells the days apart."""
    drawn = random.Random(day.toordinal())
    with (root / "cases.jsonl").open("a", encoding="utf-8") as file:
        for number in range(ROWS_A_DAY):
            case = f"{day:%m%d}-{number}"
            text = " ".join(drawn.choice(part) for part in words.values())
            row = {"id": case, "text": f"Case {drawn.random():.6f}: {text}.", "at": f"{day}T12:00Z"}
            file.write(json.dumps(row) + "\n")


def write_golden_query(root: Path) -> None:
    (root / "golden").mkdir()
    query = {"_id": "q1", "text": "which load balancer restarts"}
    (root / "golden" / "queries.jsonl").write_text(json.dumps(query), encoding="utf-8")
    (root / "golden" / "qrels.tsv").write_text(f"q1\t{DAYS[0]:%m%d}-0\t1\n", encoding="utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    root = tmp_path_factory.mktemp("drift")
    for back in range(REFERENCE_DAYS, 0, -1):
        add_cases(root, SERVERS, DAYS[0] - timedelta(days=back))
    write_golden_query(root)
    fields = {"key": "id", "text": "text", "time": "at"}
    source = {"kind": "files", "path": "cases.jsonl", "fields": fields}
    with running(
        root,
        start_date=DAYS[0].isoformat(),
        sources={"cases": source},
        golden_queries={"known": {"source": "cases", "kind": "beir", "path": "golden"}},
        quality={"drift_reference_days": REFERENCE_DAYS},
    ) as deployment:
        yield deployment


def repairs(home: Deployment) -> Sensor:
    return Sensor("repair_on_divergence", home.platform, home.runs.instance)


def recorded(home: Deployment) -> list[str]:
    """Who accepted a reference, by the record of decisions."""
    found = json.loads(home.cli("decisions", "--json").out)
    return [one["actor"] for one in found if one["what"] == "recalibrate"]


def verdict_of(home: Deployment, stage: StageResult) -> dict[str, Any]:
    """Metadata of the drift check in the run of a stage."""
    for record in home.runs.instance.all_logs(stage.run_id):
        event = record.dagster_event
        if event and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if found.check_name == DRIFT.partition(":")[2]:
                return unfolded(found.metadata)
    raise AssertionError(f"{stage.name} did not evaluate {DRIFT}")


def test_more_of_the_same_is_no_drift(home: Deployment) -> None:
    for day in DAYS[:2]:
        add_cases(home.root, SERVERS, day)
        stages = home.converge(day)
        assert DRIFT not in stages[EMBEDDED].failed_checks
        verdict = verdict_of(home, stages[EMBEDDED])
        assert verdict["outcome"] == "stable"
        assert verdict["reference_days"] == REFERENCE_DAYS


def test_another_domain_is_drift_and_drift_alone_builds_nothing(home: Deployment) -> None:
    add_cases(home.root, KITCHEN, DAYS[2])
    stages = home.converge(DAYS[2])
    assert stages[EMBEDDED].failed_checks == (DRIFT,)
    verdict = verdict_of(home, stages[EMBEDDED])
    assert verdict["global_alarm"] and verdict["acts"]
    assert verdict["window_days"] == 1 and verdict["novel_share_low"] > 0.5
    (cell, *_) = verdict["what_moved"]["cells"]
    assert all("0207-" in example for example in some(cell["examples"]))
    assert {"timeline", "picture"} <= set(verdict)
    for one in SENSORS:
        assert Sensor(one.name, home.platform, home.runs.instance).tick() == []
    for backend in BACKENDS:
        assert [p.generation.name for p in home.platform.target(backend).claims("documents")] == [
            "g0001"
        ]


def test_a_damaged_index_is_found_by_its_check_and_repaired_by_its_sensor(
    home: Deployment,
) -> None:
    client = home.milvus()
    (state,) = home.states("milvus").all()
    damaged = sorted(row_id for row_id, _, _ in home.stored("milvus"))[:3]
    client.delete(collection_name(state.identity), ids=damaged)
    client.close()
    index = keys.index("milvus", home.platform.settings)
    done = home.runs.materialize([index], partition=WORDS)
    assert done.failed_checks == ("milvus/documents:index_matches_lake",)

    (request,) = repairs(home).tick()
    assert repairs(home).start(request).success
    assert home.stored("milvus") == home.desired()
    # The repair compared again, so the check holds and a new sensor has nothing to do.
    assert repairs(home).tick() == []


def test_generations_before_the_previous_one_are_collected(home: Deployment) -> None:
    for reason in ("once more", "and again"):
        done = home.cli("index", "rebuild", "--model", WORDS, "--reason", reason)
        assert done.code == 0, done.err
    for backend in BACKENDS:
        assert [p.generation.name for p in home.platform.target(backend).claims("documents")] == [
            "g0002",
            "g0003",
        ]
        assert home.stored(backend) == home.desired()
    old = next(state for state in home.states("milvus").all() if state.generation == "g0001")
    assert old.status == "dropped"
    client = home.milvus()
    assert not client.has_collection(collection_name(old.identity))
    client.close()


def test_a_person_accepts_what_is_new_and_decides_what_is_asked_of_it(home: Deployment) -> None:
    accept = ("drift", "accept", WORDS, "--reason", "a kitchen")
    early = home.cli(*accept)
    assert early.code == 1
    assert f"moved on {DAYS[2]}, and 1 day(s) have chunks" in early.err
    first = DAYS[0] - timedelta(days=REFERENCE_DAYS)
    same = home.cli(*accept, "--from", str(first), "--to", str(DAYS[0] - timedelta(days=1)))
    assert "is the reference already, accepted by platform" in same.out, same.err
    assert recorded(home) == []

    spring = DAYS[2] - timedelta(days=REFERENCE_DAYS - 1)
    done = home.cli(*accept, "--from", str(spring), "--to", str(DAYS[2]), "--json")
    accepted = json.loads(done.out)
    assert (accepted["sequence"], accepted["changed"]) == (2, True)
    assert recorded(home) == [getpass.getuser()]

    found = json.loads(home.cli("golden", "proposals", "--json").out)
    assert len(found) == accepted["golden_queries_proposed"] > 0
    assert all(one["doc_id"].startswith("cases:0207-") for one in found), "all of it is new"
    assert found[0]["text"] in home.cli("golden", "proposals").out
    one, two, *_ = [each["proposal_id"] for each in found]
    assert "1 accepted" in home.cli("golden", "accept", one, "--reason", "asked daily").out
    assert (
        json.loads(home.cli("golden", "reject", two, "--reason", "a test", "--json").out)[
            "rejected"
        ]
        == 1
    )
    # The next evaluation asks it, and finds the document that it was made from.
    stages = home.converge(DAYS[2])
    assert [name for name, stage in stages.items() if stage.changed] == [f"{RETRIEVAL} {WORDS}"]
    rows = home.platform.lake.evaluations.read(where=[("kind", "==", "retrieval")]).to_pylist()
    scores = json.loads(max(rows, key=lambda row: row["evaluated_at"])["details"])["scores"]
    assert set(scores) == {"known/q1", f"novel-share/{one}"}
    assert scores[f"novel-share/{one}"] > 0
