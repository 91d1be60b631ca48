"""`python -m vector_platform_tests.milvus_server`: install the server, once a checkout.

Belongs here: the step that `make` takes before the tests.
"""

from __future__ import annotations

from vector_platform_tests.milvus_server.installation import installed

if __name__ == "__main__":
    print(f"Milvus server installed in {installed()}")
