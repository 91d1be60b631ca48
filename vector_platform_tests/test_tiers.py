"""Every test is in the fast tier or in one shard of the deep tier, and no suite is deep alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from vector_platform_tests.tiers import MOVED, SHARDS, TIERS, Place

ROOT = Path(__file__).parents[1]
TESTS = Path(__file__).parent
EXAMPLE = """
import pytest

def test_fast(): pass

@pytest.mark.deep
def test_deep(): pass

@pytest.mark.parametrize("case", ["here", pytest.param("there", marks=pytest.mark.deep)])
def test_of_both_tiers(case): pass
"""
FILES = ["test_example.py", *MOVED]
# Arguments of pytest, with a plus between them.
CHOICES = [".", "-m+not deep", *(f"-m+deep+--shard+{n}" for n in range(1, SHARDS + 2))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each choice of tests collects from the example, asked for in one process."""
    folder = tmp_path_factory.mktemp("example")
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    for name in FILES:
        (folder / name).write_text(EXAMPLE)
    code = (
        "import pytest, sys\n"
        "for choice in sys.argv[2:]:\n"
        "    print('@@', choice, sep='')\n"
        "    pytest.main(['-c', sys.argv[1], '--rootdir=.', '--collect-only', *choice.split('+')])"
    )
    settings = str(ROOT / "pyproject.toml")
    done = subprocess.run(
        [sys.executable, "-c", code, settings, *CHOICES],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    _, *parts = done.stdout.split("@@")
    return dict(part.split("\n", 1) for part in parts)


def names(printed: str) -> list[str]:
    return re.findall(r"^(test_\w+\.py::\S+)$", printed, re.MULTILINE)


def test_the_fast_tier_and_the_shards_take_every_test_once(runs: dict[str, str]) -> None:
    fast, everything = names(runs["-m+not deep"]), names(runs["."])
    shards = [names(runs[f"-m+deep+--shard+{n + 1}"]) for n in range(SHARDS)]
    assert {name.split("::")[1] for name in fast} == {"test_fast", "test_of_both_tiers[here]"}
    for file, shard in MOVED.items():
        assert {f"{file}::test_deep", f"{file}::test_of_both_tiers[there]"} <= {*shards[shard - 1]}
    taken = [*fast, *(name for shard in shards for name in shard)]
    assert sorted(taken) == sorted(everything)
    assert len(everything) == 4 * len(FILES)


def test_a_file_that_is_moved_to_another_shard_is_there() -> None:
    assert MOVED.keys() <= {path.name for path in TESTS.rglob("test_*.py")}


def test_a_shard_that_is_none_is_refused_in_one_line(runs: dict[str, str]) -> None:
    assert "ERROR: --shard is a number from 1 to 5, not 6" in runs["-m+deep+--shard+6"]


def suites(places: Iterable[tuple[str, Place]]) -> dict[str, dict[str, set[int | None]]]:
    """The shards of the tests of each file, by suite."""
    found: dict[str, dict[str, set[int | None]]] = {}
    for name, place in places:
        file = found.setdefault(place.suite, {}).setdefault(name.split("::")[0], set())
        file.add(place.shard)
    return found


def test_every_suite_that_has_deep_tests_has_a_sample_in_the_fast_tier(
    request: pytest.FixtureRequest,
) -> None:
    places = request.config.stash[TIERS]
    assert all(place.shard in (None, *range(1, SHARDS + 1)) for place in places.values())
    for suite, files in suites(places.items()).items():
        # What was named on the command line may be a part of a suite.
        if len(files) == len(list(Path(suite).glob("test_*.py"))):
            assert None in set().union(*files.values()), f"{suite} is in no run of `make test`"


def test_ci_runs_the_fast_tier_and_each_shard_once_in_as_many_commits() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test\n" in script
    (expression,) = re.findall(r"make test-deep SHARD=\$\(\((.+)\)\)", script)
    taken = [
        subprocess.check_output(["bash", "-c", f"commits={n}; echo $(({expression}))"], text=True)
        for n in range(SHARDS)
    ]
    assert sorted(map(int, taken)) == [*range(1, SHARDS + 1)]


def test_the_targets_of_make_name_the_two_tiers_and_nothing_between() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rule = r'^([a-z-]+): .*(?:\n\t.*)*?\n\t\$\(PYTEST\) -m "?([a-z ]*[a-z])'
    chosen = dict(re.findall(rule, makefile, re.MULTILINE))
    assert chosen["test"] == chosen["test-slow"] == "not deep"
    assert chosen["test-deep"] == "deep"
    # pytest knows --shard once the conftest of a named folder is read, and not before.
    (line,) = re.findall(r"^PYTEST := (.*)$", makefile, re.MULTILINE)
    assert line.split()[1] == "vector_platform_tests"
