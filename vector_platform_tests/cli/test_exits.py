"""How a command ends: one code for each way, in code, help and docs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from vector_platform.cli import app as root
from vector_platform.cli.choices import BadChoice, chosen_filter
from vector_platform.cli.exits import Exit, code_of, end_by_releases
from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.ownership.adoption import DifferencesNotAccepted
from vector_platform.indexes.plan import DeleteGuard
from vector_platform.orchestration.launch import RunFailed, RunRefused
from vector_platform.releases.requests.policy import MayNotDecide
from vector_platform.serving.answers import UnknownTenant
from vector_platform.training.alignment_sample import AlignmentRefused, TooFewContents
from vector_platform_tests.some import some

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RunFailed("a step"), Exit.FAILED),
        (UnknownTenant("x", param="tenants"), Exit.FAILED),
        (BadChoice("x"), Exit.USAGE),
        (MayNotDecide("x"), Exit.REFUSED),
        (DifferencesNotAccepted("x"), Exit.REFUSED),
        (AlignmentRefused("x"), Exit.REFUSED),
        (TooFewContents("x"), Exit.FAILED),
        (RunRefused("x"), Exit.REFUSED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_ends_with_the_code_of_its_kind(
    error: VectorPlatformError, code: Exit, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_of(error) is code

    def fail() -> None:
        raise error

    monkeypatch.setattr(root, "app", fail)
    with pytest.raises(SystemExit) as ended:
        root.main()
    assert ended.value.code == code
    assert code_of(DeleteGuard.__new__(DeleteGuard)) is Exit.REFUSED


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "--filter: filter: is no JSON"),
        ('{"type": "exists", "key": "sevrity"}', "did you mean 'severity'?"),
    ],
)
def test_a_filter_that_means_nothing_is_a_wrong_command_line(text: str, says: str) -> None:
    with pytest.raises(BadChoice, match=re.escape(says)) as told:
        chosen_filter({"severity"}, text)
    assert code_of(told.value) is Exit.USAGE
    assert chosen_filter({"severity"}, None) is None


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([], None),
        ([(False, False)], None),
        ([(False, False), (True, False)], Exit.WAITS),
        ([(True, False), (True, True)], Exit.REFUSED),
    ],
)
def test_a_release_that_is_held_ends_by_whether_anybody_can_decide_it(
    parts: list[tuple[bool, bool]], code: Exit | None
) -> None:
    asked = [{"waits": waits, "refused": refused} for waits, refused in parts]
    if code is None:
        end_by_releases(asked)
        return
    with pytest.raises(typer.Exit) as ended:
        end_by_releases(asked)
    assert ended.value.exit_code == code


def test_ctrl_c_ends_with_one_line_that_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vector_platform.wiring.load_settings", interrupted)
    monkeypatch.setattr(sys, "argv", ["vector-platform", "services", "up"])
    with pytest.raises(SystemExit) as ended:
        root.main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (Exit.STOPPED, "")
    (line,) = told.err.splitlines()
    assert "what was committed stays" in line and "the same command goes on" in line


def test_every_code_is_in_the_help_and_in_the_docs() -> None:
    helped = " ".join(CliRunner().invoke(root.app, ["--help"]).output.split())
    docs = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = docs.partition("## How a command ends")[2].partition("\n## ")[0]
    for code in some(Exit):
        assert f"{int(code)} {code.means.split()[0]}" in helped
        assert f"\n| {int(code)} | " in table


def test_the_version_is_told_and_shells_complete() -> None:
    assert CliRunner().invoke(root.app, ["--version"]).output.startswith("vector-platform 0.")
    for shell in ("bash", "zsh", "fish"):
        environment = {"_VECTOR_PLATFORM_COMPLETE": f"source_{shell}"}
        done = CliRunner().invoke(root.app, [], env=environment, prog_name="vector-platform")
        assert "complete_" in done.output and "vector-platform" in done.output, shell
