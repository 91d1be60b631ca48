"""The worked example of a job in `docs/contributing.md`: a new file and its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from vector_platform.settings import Settings
from vector_platform_tests.worked_examples import change_package, example, run_changed

SCRIPT = """
import sys
from pathlib import Path
import dagster as dg
from vector_platform.orchestration.build import build_definitions
from vector_platform.orchestration.corpus.tenant_jobs import CountConfig
from vector_platform.wiring import Platform
from vector_platform_tests.lake import building

root, home = Path(sys.argv[1]), Path(sys.argv[2])
platform = Platform.load(home / "platform.yaml")
platform.lake = building.open_lake(root)
chunks = [building.chunk(f"guides:{n}", "text", tenant="ab"[n > 1]) for n in range(5)]
building.put(platform.lake, *chunks)
definitions = build_definitions(settings=platform.settings, resources={"platform": platform})
done = definitions.resolve_job_def("count_tenants").execute_in_process(
    run_config=dg.RunConfig({"count": CountConfig(least=3)}),
    instance=dg.DagsterInstance.ephemeral(),
)
print(done.output_for_node("count"))
"""


@pytest.mark.deep
def test_the_example_of_a_job_is_a_file_and_a_line_and_runs(
    settings: Settings, tmp_path: Path
) -> None:
    found = example("Add a job")
    changed = change_package(found, tmp_path)
    assert changed == [
        "vector_platform/orchestration/corpus/tenant_jobs.py",
        "vector_platform/orchestration/build.py",
    ]
    added = [line for _, hunks in found.diffs for line in hunks.splitlines() if line[:1] == "+"]
    assert len(added) == 2  # the import, and the job
    assert run_changed(tmp_path, SCRIPT, str(tmp_path), str(settings.root))[-1] == "{'b': 3}"
