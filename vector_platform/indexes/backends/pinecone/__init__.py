"""Pinecone as an index backend: its settings, opening, names, rows, and what each promise takes.

Belongs here: what the registry finds the backend by. Only this folder imports its client library.
"""

from vector_platform.indexes.backends.pinecone.opening import open_index, problems
from vector_platform.indexes.backends.pinecone.settings import PineconeSettings
from vector_platform.indexes.base import Backend

BACKEND = Backend(
    section=PineconeSettings,
    open=open_index,
    packages=("pinecone",),
    embedded_packages=("starlette", "uvicorn", "httptools"),
    problems=problems,
    on_by_default=True,
)
