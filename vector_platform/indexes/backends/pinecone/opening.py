"""Opening Pinecone: from its section and what the environment holds to a connected index.

Belongs here: where it is and who asks. The client library is imported when a backend is opened.
"""

from __future__ import annotations

from vector_platform.indexes.backends.pinecone.settings import PineconeSettings
from vector_platform.indexes.base import FindLocal, VectorIndex
from vector_platform.settings import SettingsError, secret


def open_index(section: PineconeSettings, local: FindLocal) -> VectorIndex:
    """The control plane that the section names, or the embedded server.

    Raises:
        SettingsError: Another one than the embedded server, and no key for it.
    """
    from vector_platform.indexes.backends.pinecone.index import PineconeVectorIndex

    host, key = section.host, secret("PINECONE_API_KEY")
    if host == "local":
        server = local()
        host, key = server.uri, server.api_key
    if key is None:
        raise SettingsError("secrets", ["indexes.pinecone.host is not local: set PINECONE_API_KEY"])
    return PineconeVectorIndex(host=host, api_key=key, settings=section)
