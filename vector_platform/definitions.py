"""The Dagster code location. Stays put while the inside moves: see `orchestration/build.py`."""

from vector_platform.orchestration.build import build_definitions

defs = build_definitions()
