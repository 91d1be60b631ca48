"""Every test is in the fast tier or in one shard of the deep tier, and no suite is deep alone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import settings

from vector_platform_tests.some import some
from vector_platform_tests.tiers import (
    EXAMPLES,
    LONG,
    SHARDS,
    TIERS,
    TIMES,
    Place,
    examples,
    load_profile,
    told,
)

ROOT = Path(__file__).parents[1]
TESTS = Path(__file__).parent
EXAMPLE = """
import pytest
from hypothesis import given, strategies as st
from vector_platform_tests.tiers import in_turn

@pytest.fixture(params=in_turn("server", ["milvus", "pinecone"]))
def server(): pass

def test_fast(): pass

@pytest.mark.deep
def test_deep(): pass

@pytest.mark.parametrize("case", ["here", pytest.param("there", marks=pytest.mark.deep)])
def test_of_both_tiers(case): pass

@pytest.mark.parametrize("case", range(4))
def test_in_turn(server, case): pass

@given(st.integers())
def test_property(number): pass
"""
SPREAD = """
import pytest

pytestmark = [pytest.mark.deep, pytest.mark.spread]

@pytest.mark.parametrize("case", range(7))
def test_case(case): pass
"""
FILES = ["test_example.py", *LONG]
# Arguments of pytest, with a plus between them.
CHOICES = [".", "-m+not deep", *(f"-m+deep+--shard+{n}" for n in range(1, SHARDS + 2))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each choice of tests collects from the example, asked for in one process."""
    folder = tmp_path_factory.mktemp("example")
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    for name in FILES:
        (folder / name).write_text(EXAMPLE)
    (folder / "test_spread.py").write_text(SPREAD)
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
    taken = [*fast, *(name for shard in shards for name in shard)]
    # A property has few examples in the fast tier, and more in the deep one.
    twice = [name for name in everything if name.endswith("::test_property")]
    assert len(twice) == len(FILES)
    assert sorted(taken) == sorted(everything + twice)


def test_a_fast_test_takes_one_of_the_values_that_come_in_turn(runs: dict[str, str]) -> None:
    fast = [name for name in names(runs["-m+not deep"]) if "test_in_turn" in name]
    cases = re.findall(r"\[(milvus|pinecone)-(\d)\]", "".join(fast))
    assert sorted(case for _, case in cases) == sorted([*"0123"] * len(FILES))
    assert {backend for backend, _ in cases} == {"milvus", "pinecone"}


def test_workers_take_the_same_values_in_turn() -> None:
    """A worker that collects other tests than its neighbours ends the whole run."""
    assert told(Place) == told(Place) and told(names) != told(some)
    assert told(object()) == told(object()) and str(object()) != told(object())


def test_a_files_deep_tests_are_in_one_shard_unless_they_are_spread(runs: dict[str, str]) -> None:
    found: dict[str, list[int]] = {}
    for shard in range(1, SHARDS + 1):
        for name in names(runs[f"-m+deep+--shard+{shard}"]):
            found.setdefault(name.split("::")[0], []).append(shard)
    spread = Counter(found.pop("test_spread.py"))
    assert sorted(spread.values()) == [1, 1, 1, 2, 2]
    assert all(len(set(shards)) == 1 for shards in found.values())


def test_long_files_are_dealt_out_evenly(runs: dict[str, str]) -> None:
    minutes = []
    for shard in range(1, SHARDS + 1):
        files = {name.split("::")[0] for name in names(runs[f"-m+deep+--shard+{shard}"])}
        minutes.append(sum(LONG.get(file, 0) for file in files))
    assert max(minutes) - min(minutes) <= max(LONG.values()) / 2, minutes


def test_a_long_file_is_there_once() -> None:
    there = Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert [name for name in LONG if there[name] != 1] == []


def test_a_property_has_more_examples_in_the_deep_tier() -> None:
    was = settings.get_current_profile_name()
    found = {}
    for deep in (True, False):
        load_profile(deep=deep)
        found[deep] = examples(3).max_examples, settings().max_examples
    load_profile(deep=was == "deep")
    assert found == {False: (3, EXAMPLES), True: (3 * TIMES, EXAMPLES * TIMES)}


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
    assert all(place.shard in (None, *range(1, SHARDS + 1)) for place in some(places.values()))
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
