"""Requests on the wire: their fields, bounds and descriptions, from which the OpenAPI follows.

Belongs here: shapes. What a value means, the searcher says.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from vector_platform.serving.answers import INCLUDABLE
from vector_platform.serving.context import DEFAULT_TOKENS, MAX_TOKENS
from vector_platform.serving.questions import MAX_K
from vector_platform.serving.searcher import CONTEXT_HITS

MAX_TENANTS: Final = 100
MAX_BATCH: Final = 100
# More dimensions than any model has.
_MAX_DIMENSION: Final = 20_000

Named = Annotated[list[str], Field(min_length=1, max_length=MAX_TENANTS)]
Tenants = Annotated[
    Named | None,
    Field(
        description="Whose rows are searched, exactly as the tenants are named. Required where "
        "callers have no keys; else they narrow what the key may see.",
        examples=[["acme"]],
    ),
]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Included = Literal["title", "text", "attributes", "region", "digest"]


class Strict(BaseModel):
    """A body in which every field is known and no value is guessed from another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Question(Strict):
    """What is looked for: exactly one of `text`, `vector` and `like`.

    Of many wrong numbers the first is told: a body can hold a million, and others wait meanwhile.
    """

    text: str | None = Field(None, description="A text.")
    vector: list[Finite] | None = Field(
        None,
        fail_fast=True,
        max_length=_MAX_DIMENSION,
        description="A vector of the live generation's model.",
    )
    like: str | None = Field(None, description="Id of a document: more like this one.")
    k: int = Field(10, ge=1, le=MAX_K, description="Number of hits.")
    filter: dict[str, Any] | None = Field(
        None,
        description="What attributes of hits meet.",
        examples=[{"type": "eq", "key": "severity", "value": "high"}],
    )


class Common(Strict):
    """What all questions of a request share."""

    tenants: Tenants = None
    backend: str | None = Field(None, description="Whom to ask; the first configured by default.")
    include: list[Included] = Field(
        fail_fast=True,
        default=list(INCLUDABLE),
        description="Fields of hits, beside id, score, tenant and doc_id.",
    )


class SearchBody(Question, Common):
    """One question."""


class BatchBody(Common):
    """Several questions to one scope."""

    queries: list[Question] = Field(fail_fast=True, min_length=1, max_length=MAX_BATCH)


class ContextBody(Strict):
    """A question to be answered from passages."""

    tenants: Tenants = None
    text: str = Field(description="The question.")
    budget_tokens: int = Field(DEFAULT_TOKENS, ge=1, le=MAX_TOKENS)
    k: int = Field(CONTEXT_HITS, ge=1, le=MAX_K, description="Hits that it is made of at most.")
    filter: dict[str, Any] | None = None
    backend: str | None = None


class TenantsQuery(BaseModel):
    """Whose rows a request without a body asks for, in its query."""

    model_config = ConfigDict(extra="forbid")

    tenants: Tenants = None
