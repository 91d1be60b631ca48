"""Indexes of model versions: how they are made, found, and told from those of others.

Belongs here: the pinecone SDK's client of a project, an index's schema and tags, and the
connections to indexes. Does not belong here: names (`naming.py`), what the tags are
(`pinecone_terms.py`), requests to an index (`pinecone_calls.py`), or when one is made or deleted
(`pinecone.py`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from pinecone import Pinecone
from pinecone.errors import ConflictError, NotFoundError
from pydantic import SecretStr

from vector_platform.indexes.contract import Generation, IndexRejected
from vector_platform.indexes.pinecone_calls import IndexCalls, errors
from vector_platform.indexes.pinecone_terms import index_name, is_tagged, tags

# An index is ready within seconds; a minute is a cloud that is busy.
CREATE_SECONDS: Final = 300


class PineconeIndexes:
    """The indexes of a project, each connected to once.

    Args:
        host: Control plane URL, or `cloud` for Pinecone itself.
        api_key: Credential. Never part of a message.
        timeout_seconds: Longest one attempt of a request may take.
    """

    def __init__(self, *, host: str, api_key: SecretStr, timeout_seconds: float) -> None:
        self._where = f"pinecone {host.rpartition('@')[2]}"
        self._opened: dict[str, IndexCalls] = {}
        with errors(self._where, "connect"):
            self._client = Pinecone(
                api_key=api_key.get_secret_value(),
                host=None if host == "cloud" else host,
                timeout=timeout_seconds,
            )

    def create(self, generation: Generation, *, cloud: str, region: str) -> None:
        """Make the model version's index; another process may be quicker."""
        name = index_name(generation)
        field = {
            "type": "dense_vector",
            "dimension": generation.dimension,
            "metric": "cosine",
        }
        try:
            with errors(self._where, f"create index {name!r}"):
                self._client.indexes.create(
                    name=name,
                    schema={"fields": {"vector": field}},
                    deployment={
                        "deployment_type": "managed",
                        "cloud": cloud,
                        "region": region,
                    },
                    tags=tags(generation),
                    timeout=CREATE_SECONDS,
                )
        except IndexRejected as error:
            if not isinstance(error.__cause__, ConflictError):
                raise

    def find(self, generation: Generation) -> IndexCalls | None:
        """The model version's index, seen to be the platform's; None when there is none."""
        name = index_name(generation)
        with errors(self._where, f"describe index {name!r}"), suppress(NotFoundError):
            model = self._client.indexes.describe(name)
            odd = {k: v for k, v in tags(generation).items() if (model.tags or {}).get(k) != v}
            if odd:
                raise IndexRejected(
                    f"{self._where}: index {name!r} exists without the tag(s) {odd} of the "
                    "platform; delete it, or give the index another name"
                )
            return self._opened.get(name) or self._connect(name)
        self._opened.pop(name, None)
        return None

    def open(self, generation: Generation) -> IndexCalls:
        """The model version's index, which must be there; looked for only once."""
        index = self._opened.get(index_name(generation)) or self.find(generation)
        if index is None:
            raise IndexRejected(
                f"{self._where}: there is no index {index_name(generation)!r} for "
                f"{generation.index} {generation.name}; build the generation again"
            )
        return index

    def of(self, index: str) -> list[IndexCalls]:
        """The platform's indexes for a logical index, of all model versions."""
        with errors(self._where, "list indexes"):
            found = [m.name for m in self._client.indexes.list() if is_tagged(m.tags, index)]
        return [self._opened.get(name) or self._connect(name) for name in found]

    def delete(self, generation: Generation) -> None:
        """Delete the model version's index, which has been found before."""
        name = index_name(generation)
        with errors(self._where, f"delete index {name!r}"):
            self._client.indexes.delete(name)
        self._opened.pop(name).close()

    def close(self) -> None:
        """Close the connections."""
        for index in self._opened.values():
            index.close()
        self._client.close()

    def _connect(self, name: str) -> IndexCalls:
        with errors(self._where, f"open index {name!r}"):
            self._opened[name] = IndexCalls(self._client.index(name), self._where)
        return self._opened[name]
