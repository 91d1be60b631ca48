"""`vector-platform serve`: a real process, over a deployment in which nothing has run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from vector_platform.cli import app as root
from vector_platform.cli.exits import Exit
from vector_platform.settings import CONFIG_VARIABLE


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    described = {
        "start_date": "2026-01-01",
        "sources": {
            "items": {"kind": "files", "path": "a.jsonl", "fields": {"key": "id", "text": "text"}}
        },
        "models": {"words.v1": {"package": "wordllama", "kind": "static"}},
    }
    file = tmp_path / "platform.yaml"
    file.write_text(yaml.safe_dump(described))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    return tmp_path


def test_an_address_that_others_reach_is_refused_by_policy(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["vector-platform", "serve", "--host", "0.0.0.0", "--json"])
    with pytest.raises(SystemExit) as ended:
        root.main()
    assert ended.value.code == Exit.REFUSED
    assert "loopback only" in capsys.readouterr().out


def test_the_service_says_where_it_answers_and_ends_as_it_should_on_a_signal(home: Path) -> None:
    # As the entry point does: `serve` is a verb of it.
    program = "from vector_platform.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
        cwd=home,
    ) as process:
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["address"]
            assert httpx.get(f"{address}/health").json() == {"status": "ok"}
            assert httpx.get(f"{address}/ready").status_code == 503
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == Exit.DONE
    assert "milvus answers nothing yet" in told
    assert "Traceback" not in told
