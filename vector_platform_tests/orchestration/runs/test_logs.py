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
