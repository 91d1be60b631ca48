"""What can be said of this deployment without running it. `pytest` runs it, and so does CI."""

from pathlib import Path

import dagster as dg
import definitions

from vector_platform.wiring import load_settings


def test_the_settings_are_valid() -> None:
    """All of platform.yaml is understood."""
    assert load_settings(Path(__file__).with_name("platform.yaml")).sources


def test_dagster_loads_the_definitions() -> None:
    """The platform's assets and your own fit together."""
    dg.Definitions.validate_loadable(definitions.defs)
