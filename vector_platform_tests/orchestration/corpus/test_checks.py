"""What the blocking checks show of rows that break the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vector_platform.orchestration.corpus.checks import audited_chunks
from vector_platform.orchestration.showing import unfolded
from vector_platform_tests.lake import building
from vector_platform_tests.orchestration.harness import MemoryPlatform, settings_of
from vector_platform_tests.pictures import pictures_of, rows_of


@pytest.fixture
def platform(root: Path, tmp_path: Path) -> MemoryPlatform:
    platform = MemoryPlatform(settings_of(root))
    platform.lake = building.open_lake(tmp_path)
    building.put(platform.lake, *(building.chunk(f"guides:{n}", f"text {n}") for n in range(20)))
    return platform


def shown(platform: MemoryPlatform) -> tuple[bool, dict[str, Any]]:
    result = audited_chunks(platform)
    return result.passed, unfolded(result.metadata or {})


def test_chunks_that_keep_the_contract_say_so(platform: MemoryPlatform) -> None:
    passed, facts = shown(platform)
    assert passed and facts["violations"] == 0
    assert "examples" not in facts and pictures_of(facts) == {}
    assert facts["diagnosis"] == "Every row keeps every rule." and not facts["what_happens"]


def test_rows_that_break_the_contract_are_shown_with_their_field_and_the_way_out(
    platform: MemoryPlatform,
) -> None:
    nameless = [building.chunk(f"guides:n{n}", f"nameless {n}", tenant="") for n in range(8)]
    forged = building.chunk("guides:forged") | {"content_hash": "f" * 32}
    platform.lake.chunks.append(building.chunks([*nameless, forged]))
    passed, facts = shown(platform)
    assert not passed and facts["violations"] == 9
    assert [size[0] for size in pictures_of(facts).values()] == [640]
    rows = rows_of(facts["examples"])
    assert [row["rule"] for row in rows] == ["tenant_is_named"] * 5 + ["content_hash_is_right"]
    assert rows[0]["row"] == "guides:n0#0" and "fields.tenant" in rows[0]["way out"]
    assert (rows[-1]["field"], rows[-1]["value"]) == ("content_hash", "f" * 32)
    assert "tenant_is_named 8 (tenant); content_hash_is_right 1" in facts["diagnosis"]
    assert "tell_owners_of_bad_data records it" in facts["what_happens"]


def test_one_broken_rule_needs_no_picture(platform: MemoryPlatform) -> None:
    platform.lake.chunks.append(building.chunks([building.chunk("guides:n", tenant="")]))
    passed, facts = shown(platform)
    assert not passed and pictures_of(facts) == {}
    assert len(rows_of(facts["examples"])) == 1
