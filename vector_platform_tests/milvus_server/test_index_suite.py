"""What every index promises, of the full Milvus server: the shared suites, run once more."""

from __future__ import annotations

import pytest

from vector_platform_tests.integration.test_index_adapters import *  # noqa: F403
from vector_platform_tests.integration.test_milvus_index import (  # noqa: F401
    clustered,
    test_every_index_type_finds_nearly_all_true_neighbours,
)

pytestmark = [pytest.mark.deep, pytest.mark.integration, pytest.mark.milvus_server]
