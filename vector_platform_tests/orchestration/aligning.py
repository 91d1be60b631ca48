"""A corpus of invented words under an old model, and a new one whose space is the old one turned.

Belongs here: what tests of alignment and of what replaces it share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from vector_platform.lake.contract import GOLDEN_QUERIES
from vector_platform.orchestration.models.assets import embed
from vector_platform.orchestration.models.jobs import AlignConfig, align_model
from vector_platform.orchestration.releases.jobs import PromoteConfig
from vector_platform.orchestration.releases.jobs import promote as promote_job
from vector_platform_tests.lake import building
from vector_platform_tests.models.words import (
    token_vectors,
    turned,
    unrelated,
    words_text,
    write_words_model,
)
from vector_platform_tests.orchestration.harness import MemoryPlatform, settings_of

DOCUMENTS = 260
QUERIES = 80
OLD, NEW, STRANGER = "old.v1", "new.v1", "stranger.v1"
NAME = f"{NEW}~from-{OLD}"


def write_weights(root: Path) -> dict[str, Path]:
    """Weights of the three models -> their folders."""
    tables = {OLD: token_vectors(), NEW: turned(), STRANGER: unrelated()}
    return {name: write_words_model(root / name, table) for name, table in tables.items()}


def deployment(root: Path, folder: Path, weights: dict[str, Path]) -> MemoryPlatform:
    """A corpus embedded with the old model, and golden queries that repeat half a document."""
    models = {name: {"path": str(path), "kind": "static"} for name, path in weights.items()}
    settings = settings_of(
        root,
        data=str(folder / "data"),
        models=models,
        upgrades={"alignment_pairs": 150, "alignment_held_out": 100},
    )
    made = MemoryPlatform(settings)
    made.lake = building.open_lake(folder)
    rows = [building.chunk(f"guides:{n}", words_text(n)) for n in range(DOCUMENTS)]
    building.put(made.lake, *rows)
    made.lake.golden_queries.replace(
        pa.Table.from_pylist(
            [
                {
                    "set_name": "halves",
                    "query_id": str(number),
                    "text": " ".join(words_text(number).split()[:6]),
                    "doc_id": f"guides:{number}",
                    "gain": 1,
                    "tenant": None,
                    "provenance": "test",
                }
                for number in range(QUERIES)
            ],
            schema=GOLDEN_QUERIES.schema,
        )
    )
    embed(made, OLD, "run", quiet)
    return made


def quiet(line: str) -> None:
    pass


def run(job: dg.JobDefinition, platform: MemoryPlatform, op: str, config: dg.Config) -> Any:
    """Execute a job of one op in this process; returns what the op returned."""
    done = job.execute_in_process(
        run_config=dg.RunConfig({op: config}), resources={"platform": platform}
    )
    return done.output_for_node(op)


def align(platform: MemoryPlatform, old: str = OLD, new: str = NEW) -> dict[str, Any]:
    made: dict[str, Any] = run(align_model, platform, "align", AlignConfig(old=old, new=new))
    return made


def promote(platform: MemoryPlatform, model_version: str) -> None:
    config = PromoteConfig(model_version=model_version, actor="test", reason="a test")
    run(promote_job, platform, "promote_op", config)
