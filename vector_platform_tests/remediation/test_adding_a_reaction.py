"""The worked example of `docs/contributing.md`: a check with a reaction is three files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "contributing.md"
SECTION = re.compile(
    r"^## Add a check, with a reaction\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE
)
DIFF = re.compile(r"^```diff\n--- (\S+)\n(.*?)^```", re.DOTALL | re.MULTILINE)

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
assert f"| `{NAME}` | every index | no |" in page
assert f"| `{NAME}` | The index has lost tenants. | `reindex` |" in page
print("answered")
"""


def test_the_example_of_a_check_with_a_reaction_is_three_files_and_works(tmp_path: Path) -> None:
    package, unused = ROOT / "vector_platform", shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, tmp_path / package.name, ignore=unused)
    changed = list(apply(example(), tmp_path))
    assert len(changed) == 3
    config = str(ROOT / "pyproject.toml")
    lint = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", config, *changed]
    subprocess.run(lint, check=True, cwd=tmp_path, capture_output=True)
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "home")],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["answered"], done.stderr


def test_an_example_that_no_longer_fits_the_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("a = 1\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"some\.py has no single place"):
        list(apply([("some.py", "@@\n a = 2\n+b = 1\n")], tmp_path))


def example() -> list[tuple[str, str]]:
    """(file, hunks) of the page's section."""
    (section,) = SECTION.findall(PAGE.read_text(encoding="utf-8"))
    return DIFF.findall(section)


def apply(diffs: list[tuple[str, str]], root: Path) -> Iterator[str]:
    """Change files as hunks without line numbers say; each must have one place to go to."""
    for name, hunks in diffs:
        text = (root / name).read_text(encoding="utf-8")
        for hunk in hunks.removeprefix("@@\n").split("\n@@\n"):
            lines = hunk.rstrip("\n").split("\n")
            old = "\n".join(line[1:] for line in lines if not line.startswith("+"))
            new = "\n".join(line[1:] for line in lines if not line.startswith("-"))
            assert text.count(f"\n{old}\n") + text.startswith(f"{old}\n") == 1, (
                f"{name} has no single place for:\n{hunk}"
            )
            text = text.replace(old, new, 1)
        (root / name).write_text(text, encoding="utf-8")
        yield name
