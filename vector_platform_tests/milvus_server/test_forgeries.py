"""Damage behind our back on the full server, digests untouched too: the suite of the embedded ones.

Belongs here: fixtures that put this server where `faults/conftest.py` puts those.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vector_platform_tests.faults.servers import ServerProcess
from vector_platform_tests.faults.test_damage import (  # noqa: F401
    test_a_generation_that_was_dropped_is_written_again_as_a_whole,
    test_a_repair_of_a_sound_index_writes_nothing,
    test_damage_is_found_and_only_the_damage_is_rewritten,
    test_damage_is_found_by_the_next_change_when_a_full_proof_is_due,
)
from vector_platform_tests.faults.worlds import Runs, World
from vector_platform_tests.integration.conftest import Server

pytestmark = [pytest.mark.deep, pytest.mark.milvus_server]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with Runs() as found:
        yield found


@pytest.fixture
def world(tmp_path: Path, server: Server, runs: Runs) -> Iterator[World]:
    full = ServerProcess(server.backend, tmp_path)  # never started: the session's server is there
    full.url = server.url
    made = World(tmp_path / "world", full, runs, seed=7)
    yield made
    made.remove()
