"""What a run from the command line prints: what the platform says, and no line of a library."""

from __future__ import annotations

import logging
from pathlib import Path

import dagster as dg
import pytest

from vector_platform.orchestration.runs import logs


@dg.op
def stumbles(context) -> int:  # type: ignore[no-untyped-def]
    context.log.info("half of it is done")
    logging.getLogger("dagster").info("a library is chatting")
    raise ValueError


@dg.op
def follows(number: int) -> None:
    raise AssertionError(number)


@dg.job(logger_defs={logs.PROGRESS: logs.progress_logger})
def stumbling() -> None:
    follows(stumbles())


def test_dagster_is_not_taken_for_us_because_our_code_executes_its_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # As if this file, which executes the job and has its ops, were of the package.
    monkeypatch.setattr(logs, "_OURS", str(Path(__file__).parent))
    run = stumbling.execute_in_process(
        run_config={"loggers": {logs.PROGRESS: {}}}, raise_on_error=False
    )
    assert not run.success
    told = [line.strip() for line in capsys.readouterr().err.splitlines() if line.startswith(" ")]
    assert [line for line in told if "half of it" in line] == ["half of it is done"]
    assert not [line for line in told if "Dependencies for step" in line or "chatting" in line]


def test_whoever_asks_for_everything_sees_what_dagster_and_tools_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "runs.log"
    config = {"loggers": {logs.PROGRESS: {"config": {"everything": True}}}}
    with logs.output_of_tools(log, everything=True):
        print("dbt is chatting")
        stumbling.execute_in_process(run_config=config, raise_on_error=False)
    with logs.output_of_tools(log, everything=False):
        print("dbt goes on")
    out, err = capsys.readouterr()
    assert out == ""
    assert "dbt is chatting" in err and "dbt goes on" not in err
    assert "half of it is done" in err and 'Started execution of step "stumbles"' in err
    assert log.read_text(encoding="utf-8") == "dbt is chatting\ndbt goes on\n"
