"""`--json`: every verb has it, and standard output is one document however a verb ends."""

from __future__ import annotations

import inspect
import io
import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from vector_platform.cli import app as root
from vector_platform.cli.exits import Exit
from vector_platform.cli.output import JSON, read_by, say_error, say_json
from vector_platform.cli.running import ui
from vector_platform.orchestration.launch import RunRefused
from vector_platform.settings import CONFIG_VARIABLE
from vector_platform_tests.cli.verbs import commands
from vector_platform_tests.some import some


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment in which nothing has run."""
    described = {
        "start_date": "2026-01-01",
        "sources": {
            "items": {
                "kind": "files",
                "path": "items.jsonl",
                "fields": {"key": "id", "text": "text"},
            }
        },
        "models": {"words.v1": {"package": "wordllama", "kind": "static"}},
    }
    (tmp_path / "items.jsonl").write_text('{"id": "a", "text": "Sound."}\n')
    file = tmp_path / "platform.yaml"
    file.write_text(yaml.safe_dump(described))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Call a verb as the entry point does; returns the one document, the code, and what else."""

    def call(*arguments: str) -> tuple[Any, int, str]:
        monkeypatch.setattr(sys, "argv", ["vector-platform", *arguments])
        with pytest.raises(SystemExit) as ended:
            root.main()
        told = capsys.readouterr()
        return json.loads(told.out), int(ended.value.code or 0), told.err

    return call


def test_every_verb_prints_json_when_it_is_asked_to() -> None:
    found = dict(some(commands().items()))
    assert [
        verb
        for verb, command in found.items()
        if JSON not in {option for parameter in command.params for option in parameter.opts}
    ] == []
    # Who takes the flag looks at it: it is no ornament.
    assert [
        verb
        for verb, command in found.items()
        if inspect.getsource(inspect.unwrap(command.callback)).count("as_json") < 2
    ] == []


@pytest.mark.parametrize(
    ("verb", "facts"),
    [
        (("config", "show"), {"sources", "models", "indexes"}),
        (("config", "check", "--offline"), {"problems", "sources", "lake"}),
        (("services", "down"), {"stopped"}),
        (("lake", "status"), {"lake", "tables"}),
        (("golden", "health"), {"queries", "ill"}),
        (("release", "status"), {"releases", "requests"}),
        (("rejects",), {"held", "rows"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.usefixtures("home")
def test_what_a_verb_prints_is_one_document(
    verb: tuple[str, ...], facts: set[str], document: Any
) -> None:
    told, code, _ = document(*verb, JSON)
    assert code == Exit.DONE
    assert facts <= set(told)


def test_a_new_deployment_says_what_was_written_and_what_comes_next(
    tmp_path: Path, document: Any
) -> None:
    told, code, _ = document("init", str(tmp_path / "new"), JSON)
    assert (code, told["template"]) == (Exit.DONE, "docs")
    assert {"platform.yaml", "workspace.yaml"} <= set(told["files"])
    assert told["then"][1:2] == ["vector-platform run"]


@pytest.mark.usefixtures("home")
def test_an_error_has_one_shape_whoever_raises_it(
    document: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the platform, of a verb's choice of names, of the parser twice, of a run, and Ctrl+C.
    (told, code, err) = document("search", "x", JSON)
    assert (code, told["error"]["code"]) == (Exit.FAILED, Exit.FAILED)
    assert told["error"]["message"] in err.replace("error: ", "")
    for wrong in (
        ("search", "x", "--backend", "oracle"),
        ("search", " "),
        ("search", "x", "-k", "0"),
        ("search", "x", "--nothing"),
        ("release", "reject", "r-1"),
        ("release", "reject", "r-1", "--reason", " "),
    ):
        told, code, err = document(*wrong, JSON)
        assert (code, told["error"]["code"]) == (Exit.USAGE, Exit.USAGE), wrong
        assert told["error"]["message"] and err, wrong

    def ends(error: BaseException) -> tuple[Any, int, str]:
        def load() -> None:
            raise error

        monkeypatch.setattr("vector_platform.wiring.load_settings", load)
        found: tuple[Any, int, str] = document("services", "status", JSON)
        return found

    told, code, _ = ends(RunRefused("a gate"))
    assert told == {"error": {"kind": "RunRefused", "code": 4, "message": "a gate"}}
    told, code, err = ends(KeyboardInterrupt())
    assert (code, told["error"]["kind"], told["error"]["message"]) == (130, "Stopped", err.strip())


@pytest.mark.usefixtures("home")
def test_people_get_no_document_for_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["vector-platform", "search", "x"])
    with pytest.raises(SystemExit):
        root.main()
    told = capsys.readouterr()
    assert (told.out, told.err.count("error: ")) == ("", 1)


def test_the_address_of_the_ui_is_one_line_once_it_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def answer(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        if len(asked) == 1:
            raise ConnectionRefusedError
        return io.BytesIO()

    monkeypatch.setattr(ui, "urlopen", answer)
    monkeypatch.setattr(ui, "_ASK_SECONDS", 0)
    ui.tell_when_it_answers("0.0.0.0", 4000, as_json=True)
    assert len(asked) == 2
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"address": "http://127.0.0.1:4000"}


def test_who_has_a_document_gets_no_second_one_for_what_fails_afterwards(
    capsys: pytest.CaptureFixture[str],
) -> None:
    read_by(["ui", JSON])
    thread = threading.Thread(target=say_json, args=({"address": "x"},))
    thread.start()
    thread.join()
    say_error("the port is taken", kind="Busy", code=1)
    told = capsys.readouterr()
    assert json.loads(told.out) == {"address": "x"} and "the port is taken" in told.err


def test_a_run_that_would_fail_tells_all_problems_in_its_document(
    home: Path, document: Any
) -> None:
    (home / "items.jsonl").unlink()
    described = yaml.safe_load((home / "platform.yaml").read_text())
    described["indexes"] = {"milvus": {"index_params": {"efConstrution": 9}}}
    (home / "platform.yaml").write_text(yaml.safe_dump(described))
    told, code, _ = document("run", JSON)
    assert (code, told["error"]["kind"]) == (Exit.FAILED, "WouldFail")
    assert "2 problem(s)" in told["error"]["message"]
