"""Every job is launched from its launchpad, through GraphQL, as it opens and with what it asks for.

Belongs here: real runs of a real web server and daemon. What a launchpad offers is in
`test_launchpads.py`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from vector_platform.lake.slices.quarantine import SliceQuarantine
from vector_platform.orchestration.build import build_definitions
from vector_platform.releases.requests.requests import ReleaseRequests
from vector_platform.settings import Settings
from vector_platform_tests.orchestration.ui.deployment import FIRST, SECOND, Deployment

REASON = {"reason": "seen in a test"}


@dataclass(frozen=True)
class Launch:
    """A job, and what a person gives it.

    Attributes:
        job: The job.
        given: Fields beside the defaults; a function asks the deployment for a value.
        ends: What its run ends with: `SUCCESS`, or a pattern of what it says.
    """

    job: str
    given: Mapping[str, Any] = field(default_factory=dict)
    ends: str = "SUCCESS"


def open_request(deployment: Deployment) -> str:
    """The newest request that waits for somebody."""
    return [one for one in ReleaseRequests(deployment.lake).all() if one.open][-1].request_id


def quarantined(deployment: Deployment) -> list[str]:
    return [one.quarantine_id for one in SliceQuarantine(deployment.lake).open()]


# Nobody approves what they have asked for themselves.
WAITS = Launch("promote", {**REASON, "actor": "ann", "model_version": SECOND, "automatic": True})
# In stories: what is launched rests on what was launched before.
STORIES = {
    "looking": (
        Launch("verify_index"),
        Launch("show_releases"),
        Launch("adopt_index"),
        Launch("monitor_releases"),
        Launch("reconcile_releases"),
        Launch("optimize_lake"),
        Launch("vacuum_lake"),
        Launch("ingest_day"),
        Launch("repair_milvus"),
        Launch("repair_pinecone"),
    ),
    "releases": (
        Launch("reindex", REASON),
        Launch("roll_back", REASON),
        Launch("promote", REASON, "name one of them in `model_version`"),
        WAITS,
        Launch("reject_release", {**REASON, "request_id": open_request}),
        WAITS,
        Launch("approve_release", {**REASON, "request_id": open_request}),
        Launch("migrate_index", {**REASON, "source": "milvus", "target": "pinecone"}),
    ),
    "documents": (
        Launch("quarantine_slice", {**REASON, "slices": [{"source": "notes", "tenant": "shop"}]}),
        Launch("replay_slice", {**REASON, "quarantines": quarantined, "as_is": True}),
        Launch("decide_golden_queries", REASON),
        Launch(
            "recalibrate_reference",
            {**REASON, "model_versions": [FIRST]},
            "no days|no drift|nothing|too few",
        ),
    ),
    "models": (
        Launch("retrain", REASON, "learn|golden|feedback|judge"),
        Launch("reembed", {**REASON, "model_versions": [FIRST]}, "SUCCESS|as registered"),
        Launch("align_model", {"old": FIRST, "new": SECOND}, "contents"),
        Launch("replace_alignment", {"model_version": FIRST}, "no aligned model version"),
        Launch("retire_model", {**REASON, "model_version": FIRST}, "made itself|not made|platform"),
    ),
}


def asked_for(job: str, settings: Settings) -> tuple[str, list[str]]:
    """The op of a job, and the fields that its launchpad does not open with."""
    definition = build_definitions(settings=settings).resolve_job_def(job)
    node = definition.nodes_in_topological_order[0]
    schema = getattr(node.definition, "config_schema", None)
    fields = getattr(schema.config_type if schema else None, "fields", None) or {}
    return node.name, [name for name, one in fields.items() if one.is_required]


def test_every_job_is_in_a_story_and_is_given_all_it_asks_for(settings: Settings) -> None:
    launches = [one for story in STORIES.values() for one in story]
    jobs = {str(job.name) for job in build_definitions(settings=settings).jobs or ()}
    assert {one.job for one in launches} == jobs and len(jobs) >= 20
    for one in launches:
        op, asked = asked_for(one.job, settings)
        assert set(asked) <= set(one.given), one.job
        definition = build_definitions(settings=settings).resolve_job_def(one.job)
        if asked:
            with pytest.raises(dg.DagsterInvalidConfigError, match=rf"\b{asked[0]}\b"):
                dg.validate_run_config(definition, {"ops": {op: {"config": {}}}})
        else:
            assert dg.validate_run_config(definition)


@pytest.mark.deep
@pytest.mark.spread
@pytest.mark.integration
@pytest.mark.parametrize("story", STORIES)
def test_a_launchpad_works_as_it_opens_or_says_which_field_it_wants(
    story: str, deployment: Deployment
) -> None:
    for one in STORIES[story]:
        config = deployment.server.defaults(one.job)
        assert config is not None, one.job
        tags = {"dagster/partition": datetime.now(UTC).date().isoformat()}
        tags = tags if one.job == "ingest_day" else {}
        op, asked = asked_for(one.job, deployment.settings)
        if asked:
            refused = deployment.server.launch(one.job, config, tags)
            assert not refused.run_ids, one.job
            assert all(name in refused.refused for name in asked), refused.refused
        given = copy.deepcopy(config)
        values = given.setdefault("ops", {}).setdefault(op, {}).setdefault("config", {})
        assert not set(asked) & set(values), "a launchpad opens with what is asked for"
        values.update(
            (name, value(deployment) if isinstance(value, Callable) else value)
            for name, value in one.given.items()
        )
        launched = deployment.server.launch(one.job, given if one.given else config, tags)
        assert launched.run_ids, f"{one.job}: {launched.refused}"
        ended = deployment.ended(launched.run_ids[0])
        assert re.search(one.ends, ended), f"{one.job}: {ended}"
        print(f"{one.job}: {ended.strip()[:150]}")
