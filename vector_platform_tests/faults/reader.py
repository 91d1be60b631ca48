"""A reader at full speed: the search path of the platform, as a service holds it open.

Belongs here: one reader's loop and what it must never see.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vector_platform.errors import VectorPlatformError
from vector_platform.indexes.base import VectorIndex
from vector_platform.indexes.contract import Scope
from vector_platform.lake.lake import Lake
from vector_platform.settings import BackendName
from vector_platform_tests.faults.corpus import DIMENSION, TENANTS
from vector_platform_tests.lake.building import vector_of
from vector_platform_tests.serving.worlds import searcher_of

STOP, ERASED = "stop", "erased.json"


# A searcher looks at the lake this often at least: what was erased before is in no answer.
SEEN_WITHIN = 1.0


def read_until_told(
    lake: Lake,
    target: VectorIndex,
    folder: Path,
    backend: BackendName,
    switched: Callable[[str], None],
) -> dict[str, Any]:
    """Search without a pause until the file `stop` is there; returns what went wrong, if anything.

    What the file `erased.json` lists, as pairs of id and text, a second before a query begins must
    not be in its answer.

    Args:
        lake: Where the live pointer is.
        target: The backend.
        folder: Where the two files are.
        backend: Its name.
        switched: Called with each generation that answers after another one.
    """
    searcher = searcher_of(
        lake,
        lambda _: target,
        embed=lambda model, text: vector_of(model, text, DIMENSION),
        backends=[backend],
    )
    erased: set[tuple[str, str]] = set()
    listed: deque[tuple[float, set[tuple[str, str]]]] = deque()
    reads, failures, empty, risen = 0, [], 0, []
    slowest, generation = 0.0, ""
    while not (folder / STOP).exists():
        scope = (Scope.all_tenants(), *map(Scope.of, TENANTS))[reads % (1 + len(TENANTS))]
        now = {(row_id, text) for row_id, text in json.loads((folder / ERASED).read_text())}
        started = time.perf_counter()
        listed.append((started, now))
        while listed and listed[0][0] <= started - SEEN_WITHIN:
            erased = listed.popleft()[1]
        try:
            found = searcher.search(f"question {reads}", scope=scope, k=5)
        except VectorPlatformError as error:
            failures.append(f"{type(error).__name__}: {error}")
        else:
            empty += not found.hits
            risen += [hit.id for hit in found.hits if (hit.id, hit.text) in erased]
            if found.source.generation != generation:
                generation = found.source.generation
                switched(generation)
        slowest = max(slowest, time.perf_counter() - started)
        reads += 1
    searcher.close()
    return {
        "reads": reads,
        "failures": failures[:5],
        "failed": len(failures),
        "empty": empty,
        "risen": risen[:5],
        "slowest_seconds": slowest,
    }
