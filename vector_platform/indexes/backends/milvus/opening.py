"""Opening Milvus: from its section and what the environment holds to a connected index.

Belongs here: where it is and who asks. The client library is imported when a backend is opened.
"""

from __future__ import annotations

from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.base import FindLocal, VectorIndex
from vector_platform.settings import secret


def open_index(section: MilvusSettings, local: FindLocal) -> VectorIndex:
    """The server that the section names, or the embedded one."""
    from vector_platform.indexes.backends.milvus.index import MilvusVectorIndex

    uri = local().uri if section.uri == "local" else section.uri
    return MilvusVectorIndex(uri=uri, settings=section, token=secret("MILVUS_TOKEN"))
