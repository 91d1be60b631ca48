"""Opening Pinecone: from its section and what the environment holds to a connected index.

Belongs here: where it is and who asks, and what of that is wrong before anybody connects. The
client library is imported when a backend is opened, or looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from vector_platform.indexes.backends.pinecone.settings import PineconeSettings
from vector_platform.indexes.base import FindLocal, VectorIndex
from vector_platform.problems import nearest
from vector_platform.settings import SettingsError, secret

_NO_KEY = "host is not local: set PINECONE_API_KEY in the environment"


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
        raise SettingsError("secrets", [f"indexes.pinecone.{_NO_KEY}"])
    return PineconeVectorIndex(host=host, api_key=key, settings=section)


def problems(section: PineconeSettings) -> Iterator[tuple[str, str]]:
    """What is wrong with the section on this machine: which setting, and why.

    Regions are those that the installed client knows.
    """
    from pinecone import AwsRegion, AzureRegion, CloudProvider, GcpRegion

    if section.host != "local" and secret("PINECONE_API_KEY") is None:
        yield "host", _NO_KEY
    regions = {
        CloudProvider.AWS.value: [one.value for one in AwsRegion],
        CloudProvider.GCP.value: [one.value for one in GcpRegion],
        CloudProvider.AZURE.value: [one.value for one in AzureRegion],
    }
    if section.cloud not in regions:
        near = nearest(section.cloud, regions)
        yield "cloud", f"{section.cloud!r} is none of {', '.join(regions)}{near}"
    elif section.region not in regions[section.cloud]:
        known = regions[section.cloud]
        what = f"no region of {section.cloud} that the installed client knows: {', '.join(known)}"
        yield "region", f"{section.region!r} is {what}{nearest(section.region, known)}"
