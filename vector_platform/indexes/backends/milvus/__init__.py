"""Milvus as an index backend: its settings, opening, names, rows, and what each promise takes.

Belongs here: what the registry finds the backend by. Only this folder imports its client library.
"""

from vector_platform.indexes.backends.milvus.opening import open_index
from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.base import Backend

BACKEND = Backend(
    section=MilvusSettings,
    open=open_index,
    packages=("pymilvus",),
    embedded_packages=("milvus_lite",),
    on_by_default=True,
)
