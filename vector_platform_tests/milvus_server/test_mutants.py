"""Mutants of a sync on the full server: the suite of the embedded ones, run once more."""

from __future__ import annotations

import pytest

from vector_platform_tests.integration.test_mutants_on_servers import *  # noqa: F403

pytestmark = [pytest.mark.deep, pytest.mark.integration, pytest.mark.milvus_server]
