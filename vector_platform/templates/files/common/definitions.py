"""What Dagster loads: the deployment of platform.yaml, and your own assets beside it."""

from pathlib import Path

import dagster as dg

from vector_platform.orchestration.build import build_definitions

HERE = Path(__file__).parent

defs = dg.Definitions.merge(
    build_definitions(HERE / "platform.yaml"),
    # Whatever lies in own/defs.
    dg.load_from_defs_folder(path_within_project=HERE),
)
