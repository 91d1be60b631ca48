"""Masking: a text as it may be shown, without the secrets that stand in it.

Belongs here: how a secret looks inside an address or a connection string. A secret belongs into
the environment, named as `${NAME}`; a name is shown. Masking too much is better than too little.
"""

from __future__ import annotations

import re
from typing import Any

MASK = "***"

# The environment's names are no secrets: `${NAME}` is shown as it is.
_NOT_A_NAME = r"(?!\$\{\w+\}(?:[&;,@\s\"')]|$))"
_WORDS = (
    r"password|passwd|passphrase|pwd|token|secret|signature|sig|credentials?|authorization|"
    r"api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|secret[_-]?key|shared[_-]?access[_-]?key"
)
_RULES = (
    # user:password@ of an address; what looks like a port ends the address's host instead.
    (
        re.compile(rf"(://[^\s/?#@:\"']*:)(?!\d{{1,5}}[/?#]){_NOT_A_NAME}[^\s\"'<>]*@"),
        rf"\1{MASK}@",
    ),
    # A token alone before the host, as code hosts take it.
    (re.compile(rf"(https?://){_NOT_A_NAME}[^\s/?#@:\"']+@"), rf"\1{MASK}@"),
    # name=value of queries, libpq strings and object stores.
    (
        re.compile(
            rf"(?i)((?:{_WORDS})\b\s*=\s*){_NOT_A_NAME}(?:'[^']*'|\"[^\"]*\"|[^\s&;,\"')]+)"
        ),
        rf"\1{MASK}",
    ),
)
_SECRET_NAME = re.compile(rf"(?i)(?:^|[_-])(?:{_WORDS})$")


def masked(text: str) -> str:
    """The text with every secret replaced by `***`."""
    for found, shown in _RULES:
        text = found.sub(shown, text)
    return text


def masked_values(value: Any, *, named: bool = False) -> Any:
    """Plain values (mappings, lists, texts) with every secret masked.

    Args:
        value: What `model_dump` gives.
        named: Whether names tell a secret: within the options of a person's own class.
    """
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [masked_values(item, named=named) for item in value]
    if isinstance(value, dict):
        return {
            key: MASK
            if named and item and _SECRET_NAME.search(str(key)) and not _is_name(item)
            else masked_values(item, named=named or key == "options")
            for key, item in value.items()
        }
    return value


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\$\{\w+\}", value) is not None
