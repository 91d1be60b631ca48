"""Indexes of model versions: how they are made, found, and told from those of others.

Belongs here: the pinecone SDK's client of a project, an index's schema and tags, and the
connections to indexes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from pinecone import Pinecone
from pinecone.errors import ConflictError, NotFoundError
from pydantic import SecretStr

from vector_platform.indexes.backends.pinecone.requests.calls import IndexCalls, errors
from vector_platform.indexes.backends.pinecone.terms import (
    generations_in,
    index_name,
    stamp_tag,
    stamps_in,
)
from vector_platform.indexes.contract import Claim, Generation, IndexRejected
from vector_platform.indexes.marks import is_marked, mark, marked_for, require_mark

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
                    tags=mark(generation),
                    timeout=CREATE_SECONDS,
                )
        except IndexRejected as error:
            if not isinstance(error.__cause__, ConflictError):
                raise

    def find(self, generation: Generation) -> IndexCalls | None:
        """The model version's index, seen to be this lake's; None when there is none.

        Raises:
            NotOurs: There is one, and it is somebody else's.
        """
        name, found = index_name(generation), self._tags(generation)
        if found is None:
            self._opened.pop(name, None)
            return None
        require_mark(found, mark(generation), f"{self._where}: index {name!r}")
        return self._opened.get(name) or self._connect(name)

    def own(self, generation: Generation) -> IndexCalls:
        """The model version's index, which must be there and this lake's; looked at each time.

        Raises:
            NotOurs: It is somebody else's.
        """
        index = self.find(generation)
        if index is None:
            raise self._missing(generation)
        return index

    def open(self, generation: Generation) -> IndexCalls:
        """The same, looked at only once."""
        return self._opened.get(index_name(generation)) or self.own(generation)

    def claims(self, index: str) -> list[Claim]:
        """Generations in the platform's indexes for a logical index, of all model versions.

        As the tags tell, which costs one request; an index without a stamp is looked into.
        """
        with errors(self._where, "list indexes"):
            tagged = {m.name: m.tags for m in self._client.indexes.list()}
        found = []
        for name, tags in tagged.items():
            if tags is None or not is_marked(tags, index):
                continue
            stamps = stamps_in(tags)
            if not stamps:
                calls = self._opened.get(name) or self._connect(name)
                stamps = dict.fromkeys(generations_in(calls.namespaces()), "")
            found += [Claim(marked_for(tags, index, name), stamps[name]) for name in stamps]
        return sorted(found, key=lambda place: place.generation.name)

    def stamp(self, generation: Generation, stamp: str) -> None:
        """Say on the model version's index whose it is, and of a generation who writes it now.

        Raises:
            NotOurs: The platform did not make the index, or not for this generation.
        """
        name, found, wanted = index_name(generation), self._tags(generation), mark(generation)
        if found is None:
            raise self._missing(generation)
        require_mark(found | {"lake": generation.lake}, wanted, f"{self._where}: index {name!r}")
        with errors(self._where, f"tag index {name!r}"):
            tags = wanted | {stamp_tag(generation.name): stamp}
            self._client.indexes.configure(name, tags=tags)

    def forget(self, generation: Generation) -> None:
        """Take a generation's stamp off its index, as Pinecone does it: with an empty text."""
        name = index_name(generation)
        with errors(self._where, f"tag index {name!r}"):
            self._client.indexes.configure(name, tags={stamp_tag(generation.name): ""})

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

    def _tags(self, generation: Generation) -> dict[str, str] | None:
        """Tags of the model version's index; None when there is no such index."""
        name = index_name(generation)
        with errors(self._where, f"describe index {name!r}"), suppress(NotFoundError):
            return dict(self._client.indexes.describe(name).tags or {})
        return None

    def _missing(self, generation: Generation) -> IndexRejected:
        return IndexRejected(
            f"{self._where}: there is no index {index_name(generation)!r} for "
            f"{generation.index} {generation.name}; build the generation again"
        )

    def _connect(self, name: str) -> IndexCalls:
        with errors(self._where, f"open index {name!r}"):
            self._opened[name] = IndexCalls(self._client.index(name), self._where)
        return self._opened[name]
