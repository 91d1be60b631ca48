"""Identities: what a key, a tenant or a region may be. They are taken exactly, or refused by name.

Belongs here: the one definition of what is admitted. SQL calls these functions
(`corpus/dbt_plugin.py`), or holds an expression made from the same sets of characters. Two
identities that differ in any character are two, however alike they look.

Admitted is every text of Unicode that is not blank, fits its bound and holds no control character
(U+0000 to U+001F, U+007F to U+009F). Those are refused because C libraries end a text at NUL, and
because a digest separates its parts with one: without them, no two rows have one digest.
"""

from __future__ import annotations

import re
from typing import Any

# Pinecone's limit for ids; Milvus allows more.
MAX_ID_BYTES = 512
MAX_TENANT_BYTES = 128

_CONTROLS = (range(0x20), range(0x7F, 0xA0))
_CONTROL = re.compile(f"[{''.join(chr(code) for codes in _CONTROLS for code in codes)}]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def identity_of(value: Any) -> str | None:
    """The identity that a value of JSON names: a text as it is, an integer by its digits.

    None for everything else, a missing value included.
    """
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def identity_problem(identity: str, *, max_bytes: int = MAX_ID_BYTES) -> str | None:
    """Why a text cannot be an identity, or None when it can.

    Args:
        identity: The text, exactly.
        max_bytes: What fits, in bytes of UTF-8.
    """
    if not identity.strip():
        return "is blank"
    if odd := _SURROGATE.search(identity):
        return f"holds U+{ord(odd[0]):04X} at character {odd.start() + 1}, which is no Unicode text"
    if odd := _CONTROL.search(identity):
        return f"holds the control character U+{ord(odd[0]):04X} at character {odd.start() + 1}"
    size = len(identity.encode())
    return f"has {size} bytes, at most {max_bytes} fit" if size > max_bytes else None


def unfit_sql(column: str, *, max_bytes: int = MAX_ID_BYTES) -> str:
    """Whether a column of SQL holds what `identity_problem` refuses, as a condition of DuckDB.

    Args:
        column: A column's name.
        max_bytes: What fits, in bytes of UTF-8.
    """
    controls = "".join(f"\\x{{{codes[0]:X}}}-\\x{{{codes[-1]:X}}}" for codes in _CONTROLS)
    blanks = "".join(f"\\x{{{code:X}}}" for code in range(0x10000) if chr(code).isspace())
    return (
        f"(regexp_matches({column}, '[{controls}]') OR regexp_matches({column}, '^[{blanks}]*$') "
        f"OR octet_length(encode({column})) > {max_bytes})"
    )
