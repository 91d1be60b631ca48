"""`vector-platform serve`: a real process, over a deployment in which nothing has run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def test_keys_are_made_told_once_listed_rotated_and_revoked(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["vector-platform", "keys", *arguments, "--json"])
        with pytest.raises(SystemExit) as ended:
            root.main()
        assert not ended.value.code
        return json.loads(capsys.readouterr().out)

    made = call("create", "the shop", "--tenant", "acme", "--tenant", "zeta", "--days", "7")
    assert made["key"].startswith(f"vp_{made['id']}_") and made["tenants"] == ["acme", "zeta"]
    other = call("rotate", made["id"], "--overlap-hours", "1")
    assert call("revoke", other["id"])["state"] == "revoked"
    listed = call("list")
    assert [(one["id"], one["state"]) for one in listed] == [
        (made["id"], "good"),
        (other["id"], "revoked"),
    ]
    assert not {"key", "hash"} & set(listed[0])
    kept = "".join(path.read_text() for path in home.rglob("*.json"))
    assert made["key"] not in kept and other["key"] not in kept


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
