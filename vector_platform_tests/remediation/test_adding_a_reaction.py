"""The worked example of `docs/contributing.md`: a check with a reaction is three files."""

from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform_tests.worked_examples import change_package, example, run_changed

# In the changed package: Dagster has the check, its failure is answered, and texts say so.
SCRIPT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import dagster as dg
from vector_platform.orchestration.indexes.checks import build_parity_checks
from vector_platform.orchestration.remediation.ticks import react
from vector_platform.remediation import checks
from vector_platform.remediation.next_steps import what_happens
from vector_platform.remediation.reactions import REINDEX, answered_by
from vector_platform_tests.orchestration.harness import OLD, MemoryPlatform, settings_of
from vector_platform_tests.orchestration.verdicts import Says, record_checks, well
from vector_platform_tests.remediation import tables

NAME = "every_tenant_is_served"
settings = settings_of(Path(sys.argv[1]))
keys = [key for check in build_parity_checks(settings) for key in check.check_keys]
assert [k.asset_key.path[0] for k in keys if k.name == NAME] == ["milvus", "pinecone"]
told = what_happens(
    NAME, settings, passed=False, facts={"unserved": 2}, model_version=OLD, backend="milvus"
)
assert "The sensor reindex_on_lost_recall starts the job reindex" in told, told
with dg.instance_for_test() as instance:
    record_checks(instance, None, Says(checks.CHUNKS))
    says = [*well(), Says(NAME, False, "milvus", {"unserved": 2, "evaluation_id": "e1"})]
    record_checks(instance, OLD, *says)
    tick = react(
        answered_by(REINDEX),
        actor=REINDEX.name,
        platform=MemoryPlatform(settings),
        instance=instance,
        now=datetime(2026, 3, 10, tzinfo=UTC),
    )
    (run,) = tick.runs
    assert (run.action, run.evaluation_ids) == ("rebuild", ("e1",))
    assert "2 tenants have no rows" in run.why
page = tables.written(tables.PAGE.read_text(encoding="utf-8"))
assert f"- `{NAME}` (every index): Some tenants" in page
assert f"1. `{NAME}`: the index has lost tenants. Done: `reindex`." in page
print("answered")
"""


@pytest.mark.deep
def test_the_example_of_a_check_with_a_reaction_is_three_files_and_works(tmp_path: Path) -> None:
    assert len(change_package(example("Add a check, with a reaction"), tmp_path)) == 3
    (tmp_path / "home").mkdir()
    assert run_changed(tmp_path, SCRIPT, str(tmp_path / "home")) == ["answered"]
