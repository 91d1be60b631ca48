"""Every block of commands says by whom it is executed, and those of the fast tier are."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from vector_platform.settings import CONFIG_VARIABLE
from vector_platform.wiring import load_settings
from vector_platform_tests.docs.blocks import MARKS, OF_COMMANDS, PAGES, Block, blocks_of, marked
from vector_platform_tests.integration.deployments import Deployment
from vector_platform_tests.some import some

# How many blocks there are of each mark: who adds one says here which it is.
COUNTED = {"run": 3, "deep": 21, "outside": 15}
BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def test_every_block_of_commands_is_marked_and_counted() -> None:
    found = [block for block in some(BLOCKS) if block.language in OF_COMMANDS]
    assert [block.place for block in found if block.mark not in MARKS] == []
    assert Counter(block.mark for block in found) == COUNTED


def test_a_block_of_another_language_has_no_mark_and_none_goes_without_a_language() -> None:
    assert [block.place for block in BLOCKS if not block.language] == []
    others = [block for block in BLOCKS if block.language not in OF_COMMANDS]
    assert [block.place for block in others if block.mark] == []
    calls = re.compile(r"^(\$ )?(vector-platform|make|pip|dg|docker) ", re.MULTILINE)
    prints = [block for block in others if block.language == "text"]
    assert [block.place for block in prints if calls.search(block.text)] == []


def test_the_blocks_of_the_fast_tier_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"key": "id", "text": "text"}
    (tmp_path / "items.jsonl").write_text('{"id": "a", "text": "Sound."}\n', encoding="utf-8")
    home = Deployment(
        tmp_path, sources={"items": {"kind": "files", "path": "items.jsonl", "fields": fields}}
    )
    monkeypatch.setenv(CONFIG_VARIABLE, str(home.file))
    ran = [
        _is_set(block, home) if _variables(block) else _ends_well(block, home)
        for block in some(list(marked("run")))
    ]
    assert all(ran)


def _variables(block: Block) -> dict[str, str]:
    return dict(re.findall(r"^(VECTOR_PLATFORM_\w+)=(.*)$", block.text, re.MULTILINE))


def _is_set(block: Block, home: Deployment) -> bool:
    """Settings have what the variables of a block say."""
    variables = _variables(block)
    shown = load_settings(home.file, variables).model_dump(by_alias=True)
    for name, value in variables.items():
        found = shown
        for key in name.removeprefix("VECTOR_PLATFORM_").lower().split("__"):
            found = found[key]
        assert found == yaml.safe_load(value), block.place
    return True


def _ends_well(block: Block, home: Deployment) -> bool:
    """Each command of a block ends with 0 and complains of nothing."""
    for command, _ in block.commands():
        done = home.cli(*command.split()[1:])
        assert (done.code, done.err) == (0, ""), f"{block.place}: {command}"
    return True
