"""The model version that an endpoint embeds, as an embedder.

Belongs here: its fingerprint, and how texts become requests.

Nothing can be hashed of weights that are elsewhere: the fingerprint is what was declared (the
model's name, `revision`, dimensions, prompts, where texts are cut). Whether the endpoint still
answers as when it was registered is seen by its canaries, which are asked before and after every
run that embeds, as for every model.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vector_platform.models.base import CutShort, Embedded, Embedder
from vector_platform.models.endpoint.client import EndpointClient
from vector_platform.models.errors import EndpointUnavailable, ModelError
from vector_platform.models.identity.fingerprint import ENDPOINT, Fingerprint
from vector_platform.settings import Model

# Raised when the vectors that are made of an answer change.
ENDPOINT_RUNTIME = "endpoint 1"
# Of text in Latin scripts; others take more tokens.
CHARACTERS_A_TOKEN = 4


class EndpointEmbedder(Embedder):
    """A model version that is run by an endpoint.

    Bits are not promised: a server may answer the same text a little otherwise, which the
    tolerance of its canaries shows.
    """

    def __init__(
        self,
        name: str,
        fingerprint: Fingerprint,
        client: EndpointClient,
        *,
        batch_texts: int,
        max_characters: int,
    ) -> None:
        super().__init__(name, fingerprint)
        self._client = client
        self._batch_texts, self._max_characters = batch_texts, max_characters

    def _count(self, texts: list[str]) -> int:
        return sum(math.ceil(len(text) / CHARACTERS_A_TOKEN) for text in self._cut(texts))

    def _cut(self, texts: list[str]) -> list[str]:
        return [text[: self._max_characters] for text in texts]

    def _encode(
        self, texts: list[str], *, stable: bool, on_batch: Callable[[int], None] | None
    ) -> Embedded:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        tokens = 0
        for start in range(0, len(texts), self._batch_texts):
            batch = self._cut(texts[start : start + self._batch_texts])
            try:
                answer = self._client.ask(batch)
            except (EndpointUnavailable, ModelError) as error:
                if start == 0 or not stable:
                    raise
                done = self._embedded(texts[:start], vectors[:start], tokens)
                raise CutShort(done, error) from error
            vectors[start : start + len(batch)] = answer.vectors
            tokens += answer.tokens if answer.tokens is not None else self._count(batch)
            if on_batch:
                on_batch(len(batch))
        return self._embedded(texts, vectors, tokens)

    def _embedded(self, texts: list[str], vectors: np.ndarray, tokens: int) -> Embedded:
        return Embedded(vectors, tokens, sum(len(text) > self._max_characters for text in texts))


def open_endpoint(name: str, spec: Model) -> EndpointEmbedder:
    """Open a model version that an endpoint embeds. Asks nobody."""
    assert spec.endpoint is not None
    endpoint = spec.endpoint
    fingerprint = Fingerprint(
        kind=ENDPOINT,
        weights="",
        tokenizer="",
        configuration="",
        pooling="",
        normalisation="l2",
        dimension=endpoint.dimensions,
        # In the measure of canaries, whose longest texts are to be longer than what is read.
        max_tokens=endpoint.max_characters // CHARACTERS_A_TOKEN,
        document_prompt=spec.document_prompt,
        query_prompt=spec.query_prompt,
        backend=ENDPOINT,
        runtime=ENDPOINT_RUNTIME,
        lineage={
            "model": endpoint.model,
            "revision": spec.revision,
            "max_characters": endpoint.max_characters,
            "send_dimensions": endpoint.send_dimensions,
        },
    )
    return EndpointEmbedder(
        name,
        fingerprint,
        EndpointClient(name, endpoint),
        batch_texts=endpoint.batch_texts,
        max_characters=endpoint.max_characters,
    )
