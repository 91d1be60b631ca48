"""The drift check in real runs: a tenant that changes while the whole is quiet."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from vector_platform.lake.contract import DOCUMENTS
from vector_platform.lake.lake import Lake
from vector_platform.orchestration import keys
from vector_platform.orchestration.launch import Runs
from vector_platform.remediation import checks
from vector_platform.settings import Settings
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.acting import AUTO, QUARANTINE, decided
from vector_platform_tests.orchestration.harness import OLD, MemoryPlatform, settings_of
from vector_platform_tests.orchestration.verdicts import Answer, Sensor, answers
from vector_platform_tests.quality.streams import document

CHECK = dg.AssetCheckKey(keys.EMBEDDINGS, checks.DRIFT)
REFERENCE_DAYS = 28
NEW_DAYS = range(REFERENCE_DAYS + 1, REFERENCE_DAYS + 4)
# Rows a day; the smallest one's calibration slice leaves it more than the ten it needs.
ROWS = {("acme", "notices"): 90, ("acme", "guides"): 60, ("zeta", "guides"): 20}
MOVES = ("zeta", "guides")
SERVERS = (
    ["The load balancer", "A database replica", "The message queue", "Our cache node"],
    ["restarts", "rejects connections", "drops packets", "fails its health check"],
    ["after the deployment", "when memory is full", "behind the proxy", "without logs"],
    ["in region one", "on port 8080", "under heavy traffic", "during failover"],
)
KITCHEN = (
    ["The sourdough bread", "A lemon risotto", "The pumpkin soup", "Our plum cake"],
    ["simmers gently", "needs more butter", "rests overnight", "turns golden"],
    ["with fresh thyme", "beside roasted garlic", "in olive oil", "under brown sugar"],
    ["for six guests", "until dinner", "on a low flame", "before dessert"],
)


def add_days(lake: Lake, days: range, *, new: float = 0) -> None:
    """Days of every slice; a share of the one that moves is about something else."""
    drawn = random.Random(days.start)
    documents, passages = [], []
    for (tenant, source), rows in ROWS.items():
        foreign = round(new * rows) if (tenant, source) == MOVES else 0
        for day in days:
            for number in range(rows):
                words = KITCHEN if number < foreign else SERVERS
                text = " ".join(drawn.choice(part) for part in words)
                doc_id = f"{source}:{tenant}-{day}-{number}"
                passage = f"{text}, case {drawn.random():.6f}."
                passages.append(building.chunk(doc_id, passage, tenant=tenant))
                documents.append(document(doc_id, day, tenant=tenant))
    lake.documents.merge(pa.Table.from_pylist(documents, schema=DOCUMENTS.schema))
    building.put(lake, *passages)


def settings_with(root: Path, **changes: Any) -> Settings:
    """The deployment with an owner of the guides, and a reference of four weeks."""
    fields = {"key": "id", "title": "title", "text": "body", "time": "at", "tenant": "team"}
    sources = {
        "notices": {"kind": "files", "path": "notices.csv", "fields": fields},
        "guides": {"kind": "files", "path": "guides/*.md", "owner": "writers"},
    }
    quality = {"drift_reference_days": REFERENCE_DAYS} | changes.pop("quality", {})
    return settings_of(root, sources=sources, quality=quality, **changes)


def check(platform: MemoryPlatform, instance: dg.DagsterInstance) -> Answer:
    """One real run of `lake/embeddings`, and what its drift check answers."""
    Runs(platform, instance=instance).materialize([keys.EMBEDDINGS], partition=OLD)
    return answers(instance, CHECK)[-1]


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A lake, embedded and sketched, in which much of a small tenant turns to another domain."""
    folder = tmp_path_factory.mktemp("drift")
    platform = MemoryPlatform(settings_with(root))
    platform.lake = building.open_lake(folder)
    add_days(platform.lake, range(REFERENCE_DAYS))
    with dg.DagsterInstance.ephemeral() as instance:
        # One day more, on which nothing is new.
        add_days(platform.lake, range(REFERENCE_DAYS, REFERENCE_DAYS + 1))
        assert check(platform, instance).metadata["outcome"] == "stable"
    add_days(platform.lake, NEW_DAYS, new=0.4)
    return folder


Judge = Callable[..., tuple[MemoryPlatform, Answer]]


@pytest.fixture
def judge(moved: Path, root: Path, tmp_path: Path, instance: dg.DagsterInstance) -> Judge:
    def run(**changes: Any) -> tuple[MemoryPlatform, Answer]:
        shutil.copytree(moved, tmp_path / "moved")
        platform = MemoryPlatform(settings_with(root, **changes))
        platform.lake = building.open_lake(tmp_path / "moved")
        return platform, check(platform, instance)

    return run


def test_a_slice_that_moved_is_bounded_diagnosed_and_shown(
    judge: Judge, instance: dg.DagsterInstance
) -> None:
    platform, answer = judge()
    said = answer.metadata
    assert not answer.passed and not said["global_alarm"]
    (alarm,) = said["slices_alarmed"]
    assert (alarm["tenant"], alarm["source"], alarm["acts"]) == (*MOVES, True)
    assert 0.05 < alarm["novel_share_low"] <= 0.4
    assert (said["slices_acting"], said["slice_novel_share_low"]) == (1, alarm["novel_share_low"])
    # In words: what is wrong, whose it is, and what comes next.
    since = alarm["since"]
    assert said["diagnosis"] == (
        f"slice_moved of {OLD} tenant zeta source guides since {since}: the distribution of this "
        f"slice moved while the whole is quiet: at least {alarm['novel_share_low']:.3g} of it is "
        "new; "
        "owner: writers"
    )
    assert "its owner (writers) is told, and a person decides" in said["what_happens"]
    command = f"quarantine add --source guides --tenant zeta --since {since}"
    assert command in said["what_happens"]
    # Examples, old texts and pictures are of that slice alone.
    assert said["what_moved"]["of"] == "tenant zeta, source guides"
    shown = [
        chunk
        for cell in said["what_moved"]["cells"]
        for chunk in (*cell["examples"], cell.get("nearest_old_chunk", "guides:zeta"))
    ]
    assert shown and all(chunk.startswith("guides:zeta") for chunk in shown)
    assert said["picture"].startswith("![tenant zeta, source guides: the newest")
    assert said["slice_timeline"].startswith("![tenant zeta, source guides](data:")
    # The sensor reads the same: the owner is told, nothing is started.
    sensor = Sensor(QUARANTINE, platform, instance)
    assert sensor.tick() == []
    assert f"{said['diagnosis'].partition(': ')[2]}; a person decides" in sensor.skipped


def test_the_sensor_quarantines_the_slice_where_the_policy_says_so(
    judge: Judge, instance: dg.DagsterInstance
) -> None:
    platform, answer = judge(acting=AUTO)
    assert "the sensor quarantine_on_moved_slice keeps it" in answer.metadata["what_happens"]
    (request,) = Sensor(QUARANTINE, platform, instance).tick()
    (asked,) = request.run_config["ops"]["quarantine"]["config"]["slices"]
    (alarm,) = answer.metadata["slices_alarmed"]
    assert asked == {name: alarm[name] for name in ("tenant", "source", "since")}


def test_a_slice_below_the_policy_is_left_alone_with_the_reason(
    judge: Judge, instance: dg.DagsterInstance
) -> None:
    platform, answer = judge(acting=AUTO, quality={"drift_least_novel_share": 0.6})
    (alarm,) = answer.metadata["slices_alarmed"]
    assert not answer.passed and not alarm["acts"]
    assert answer.metadata["slices_acting"] == 0
    happens = answer.metadata["what_happens"]
    assert happens.startswith("For tenant zeta, source guides, at least ")
    assert happens.endswith(
        f"of {alarm['window_rows']} rows is new, which does not exceed 60%: it is observed, "
        "nothing is started and nobody is told. The next evaluation measures again."
    )
    sensor = Sensor(QUARANTINE, platform, instance)
    assert sensor.tick() == []
    (left,) = decided(platform)
    assert (left.what, left.before) == ("suppress", "slice_moved")
    assert left.why.endswith("of it is new, which is below what acts")
