"""What a question may be, before anybody is asked.

Belongs here: limits, and refusals that name the field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from vector_platform.indexes.contract import Scope
from vector_platform.indexes.filtering.conditions import Condition
from vector_platform.indexes.filtering.language import BadFilter, read_filter
from vector_platform.lake.contract import MAX_TENANT_BYTES, identity_problem
from vector_platform.lake.rules import is_unicode
from vector_platform.serving.answers import BadQuery

MAX_K: Final = 1000
# What a person or a program asks; longer texts are documents, of which models read the beginning.
MAX_TEXT: Final = 16_384


def check_question(
    text: str | None, vector: object, like: str | None, k: int, scope: Scope
) -> None:
    """Refuse a question that cannot be answered.

    Raises:
        BadQuery: Not one of text, vector and document is asked with; or a value is out of range.
    """
    given = [name for name, value in (("text", text), ("vector", vector), ("like", like))
             if value is not None]  # fmt: skip
    if len(given) != 1:
        raise BadQuery(
            "exactly one of text, vector and like is asked with, not "
            + (" and ".join(given) if given else "none"),
            param=given[1] if given else "text",
        )
    if text is not None:
        check_text(text, param="text")
    if like is not None and (not is_unicode(like) or len(like) > MAX_TEXT):
        raise BadQuery("no document is called like this", param="like")
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MAX_K:
        raise BadQuery(f"k is {k}; it must be between 1 and {MAX_K}", param="k")
    check_scope(scope)


def check_text(text: str, *, param: str) -> None:
    """Refuse a text that is no query.

    Raises:
        BadQuery: It is blank, too long, or no Unicode.
    """
    if not text.strip():
        raise BadQuery("the query is empty", param=param)
    if len(text) > MAX_TEXT:
        raise BadQuery(
            f"the query has {len(text)} characters, at most {MAX_TEXT} are read", param=param
        )
    if not is_unicode(text):
        raise BadQuery("the query is not Unicode text", param=param)


def condition_of(
    filter: Condition | Mapping[str, Any] | None, keys: Collection[str]
) -> Condition | None:
    """The condition of a filter, which may be one already.

    Raises:
        BadQuery: It means nothing, or asks for an attribute that no row has.
    """
    if not isinstance(filter, Mapping):
        return filter
    try:
        return read_filter(filter, keys=keys)
    except BadFilter as error:
        raise BadQuery(str(error), param=error.at) from error


def check_scope(scope: Scope) -> None:
    """Refuse tenants that nobody can be called like.

    Raises:
        BadQuery: A name is blank, too long, or holds what no identity does.
    """
    for tenant in scope.tenants:
        if problem := identity_problem(tenant, max_bytes=MAX_TENANT_BYTES):
            raise BadQuery(f"no tenant is called that: the name {problem}", param="tenants")
