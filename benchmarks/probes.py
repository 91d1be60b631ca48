"""What choosing the probes of a release costs, by the size of the lake.

Belongs here: the choice by ids that a release makes, next to one that looks at every vector.
`--quick`: 10 k rows; `--rows N`: another size.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import PrintedTable, clean_up_when_told_to_stop, measured, note
from synthetic import MODEL, build_lake

from vector_platform.lake.contract import hash_text
from vector_platform.lake.lake import Lake
from vector_platform.releases.evaluation.probes import PROBES, QueryEncoder, probes_of

ROWS = (20_000, 1_000_000)
QUICK = (10_000,)


def _no_encoder(model_version: str) -> QueryEncoder:
    raise AssertionError(f"{model_version} is asked no golden queries here")


def by_ids(folder: str) -> int:
    """As a release chooses: by ids, then the vectors of those."""
    return len(probes_of(Lake(folder), MODEL, _no_encoder))


def by_rows(folder: str) -> int:
    """Every row in turn with its vector, the smallest hashes kept."""
    lake, chosen = Lake(folder), list[tuple[str, object]]()
    for batch in lake.index_rows(MODEL, lake.snapshot()):
        for row in batch.select(["id", "tenant", "text", "vector"]).to_pylist():
            chosen.append((hash_text(row["id"]), row["vector"]))
        chosen = sorted(chosen, key=lambda pair: pair[0])[:PROBES]
    return len(chosen)


def main() -> None:
    """Print one line for each size and way."""
    clean_up_when_told_to_stop()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=int, action="append")
    options = parser.parse_args()
    table = PrintedTable(["rows, way", "s", "peak MiB"], first_width=26)
    for rows in options.rows or (QUICK if options.quick else ROWS):
        with TemporaryDirectory() as folder:
            note(f"building a lake of {rows:,} rows")
            build_lake(Path(folder), rows)
            for way in (by_rows, by_ids):
                cost = measured(way, folder)
                assert cost.result == PROBES
                name = f"{rows:,}, {way.__name__.replace('_', ' ')}"
                table.add([name, f"{cost.seconds:.2f}", cost.peak_mib])


if __name__ == "__main__":
    main()
