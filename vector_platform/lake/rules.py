"""What a value in the lake must satisfy, and how ids, hashes and digests are formed.

Belongs here: pure functions and limits, of single values.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

# Both backends hold integers as JSON numbers or float64: exact up to 2^53.
MAX_EXACT_INT = 2**53
# Pinecone holds 40 KiB of metadata a record; text and the fixed fields need the rest.
MAX_ATTRIBUTES_BYTES = 16 * 1024
# Of a passage: text and attributes together must fit Pinecone's 40 KiB of metadata a record.
MAX_PASSAGE_BYTES = 16 * 1024
# float32 rounding of a unit vector of up to 4096 dimensions stays well below this.
UNIT_NORM_TOLERANCE = 1e-3


def is_unicode(text: str) -> bool:
    """False for text with lone surrogates, which no UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def doc_id_of(source: str, key: str) -> str:
    """The platform-wide id of a source's document: `{source}:{key}`, ASCII by percent-encoding.

    Printable ASCII stays as it is (except `%` itself), so common keys remain readable and the
    encoding is reversible.
    """
    encoded = "".join(
        char if 0x21 <= ord(char) <= 0x7E and char != "%" else _percent(char) for char in key
    )
    return f"{source}:{encoded}"


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


def content_of(title: str, text: str) -> str:
    """The text that a model sees for a chunk: its title, a line break, and the passage."""
    return f"{title}\n{text}" if title else text


#: `content_of` of the columns title and text, in SQL.
CONTENT_SQL = "CASE WHEN title = '' THEN text ELSE title || chr(10) || text END"


def hash_text(text: str) -> str:
    """SHA-256 of UTF-8 text, first 128 bits as 32 hex digits.

    128 bits keep the chance of any collision among 10^9 texts below 10^-20.
    """
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest_of(
    *, content_hash: str, fingerprint: str, tenant: str, region: str, attributes: str
) -> str:
    """What an index row must say of itself: everything it derives from, in one hash.

    Stored in the index beside the vector. `Lake.index_rows` computes the same in SQL; a test
    holds the two together. No identity holds the separator, so no two rows share a digest.
    """
    return hash_text("\x1f".join((content_hash, fingerprint, tenant, region, attributes)))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, no escapes beyond the necessary; refuses NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def attributes_problems(values: Mapping[str, Any]) -> list[str]:
    """Why values cannot be the attributes of a document, `name: reason` each; empty if they can."""
    found = [
        f"{name}: {problem}"
        for name, value in values.items()
        if (problem := attribute_problem(value))
    ]
    if not found and (size := len(canonical_json(values).encode())) > MAX_ATTRIBUTES_BYTES:
        found.append(f"all together take {size} bytes, at most {MAX_ATTRIBUTES_BYTES} fit")
    return found


def attribute_problem(value: Any) -> str | None:
    """Why a value cannot be an attribute, or None when it can.

    Admissible is the lossless subset of both backends: string, bool, float64, integers up to
    2^53, and lists of strings.
    """
    if isinstance(value, (bool, str)):
        return None
    if isinstance(value, int):
        return None if abs(value) <= MAX_EXACT_INT else f"integer {value} is beyond 2^53"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value} is not a finite number"
    if isinstance(value, list):
        odd = [item for item in value if not isinstance(item, str)]
        return f"list holds {type(odd[0]).__name__}, only strings fit" if odd else None
    return f"type {type(value).__name__} fits no backend"
