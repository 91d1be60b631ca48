"""Tenants and regions that earlier versions changed, and so may have made one of several.

Belongs here: what staging once made of an identity, and which landed rows that concerns.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal

from vector_platform.lake.contract import MAX_TENANT_BYTES, doc_id_of, identity_of, identity_problem
from vector_platform.lake.lake import Lake
from vector_platform.settings import Constant, Settings

Role = Literal["tenant", "region"]

_ROLES: tuple[Role, ...] = ("tenant", "region")
_TRIMMED = (
    "".join(
        map(chr, [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029])
    )
    + "\u202f\u205f\u3000\ufeff"
)
_WHITE_SPACE = re.compile(r"[\t\n\f\r ]+")


@dataclass
class LandedValue:
    """An identity as its source gives it, and where its rows are now.

    Attributes:
        value: Exactly as it landed.
        sources: Sources with live rows of it.
        rows: Live rows of them, one a document.
        documents_elsewhere: Documents of these rows that the lake holds under another value.
        chunks_elsewhere: Chunks of these rows that the lake holds under another value.
        problem: Why the contract does not admit it; empty when it does.
    """

    value: str
    sources: set[str] = field(default_factory=set)
    rows: int = 0
    documents_elsewhere: int = 0
    chunks_elsewhere: int = 0
    problem: str = ""


@dataclass(frozen=True)
class FormerIdentity:
    """What earlier versions made of some values.

    Attributes:
        role: `tenant` or `region`.
        became: The one value that all of them became; empty for none.
        values: The values, those with most rows first.
    """

    role: Role
    became: str
    values: tuple[LandedValue, ...]

    @property
    def merged(self) -> bool:
        """Whether several became one, so that each saw the rows of the others."""
        return len(self.values) > 1

    def facts(self) -> dict[str, Any]:
        """For a table or JSON."""
        values = [vars(one) | {"sources": sorted(one.sources)} for one in self.values]
        return {"role": self.role, "became": self.became, "merged": self.merged, "values": values}


def former_identities(lake: Lake, settings: Settings) -> list[FormerIdentity]:
    """Tenants and regions that earlier versions changed, from what landed; merged ones first.

    Memory: one entry a live row.
    """
    landed: dict[Role, dict[str, LandedValue]] = {role: {} for role in _ROLES}
    became: dict[tuple[Role, str], str] = {}
    # doc_id -> its exact tenant and region.
    exact: dict[str, dict[Role, str]] = {}
    for source, spec in settings.sources.items():
        columns: dict[Role, str | Constant] = {
            "tenant": spec.fields.tenant,
            "region": spec.fields.region,
        }
        for key, named in _live(lake, source, columns).items():
            exact[doc_id_of(source, key)] = named
            for role, value in named.items():
                found = landed[role].setdefault(value, LandedValue(value))
                found.rows += 1
                found.sources.add(source)
                constant = isinstance(columns[role], Constant)
                became[role, value] = _formerly(value, one_line=not constant)
    for counted, table in (
        ("documents_elsewhere", lake.documents),
        ("chunks_elsewhere", lake.chunks),
    ):
        elsewhere: Counter[tuple[Role, str]] = Counter()
        for batch in table.batches(["doc_id", *_ROLES]):
            for row in batch.to_pylist():
                for role, value in exact.get(row["doc_id"], {}).items():
                    elsewhere[role, value] += row[role] != value
        for (role, value), rows in elsewhere.items():
            setattr(landed[role][value], counted, rows)
    groups: dict[tuple[Role, str], list[LandedValue]] = defaultdict(list)
    for role, values in landed.items():
        for value, entry in values.items():
            entry.problem = identity_problem(value, max_bytes=MAX_TENANT_BYTES) or ""
            groups[role, became[role, value]].append(entry)
    found_groups = [
        FormerIdentity(role, name, tuple(sorted(values, key=lambda one: (-one.rows, one.value))))
        for (role, name), values in groups.items()
        if len(values) > 1 or values[0].value != name
    ]
    return sorted(found_groups, key=lambda one: (not one.merged, one.role != "tenant", one.became))


def _live(
    lake: Lake, source: str, columns: dict[Role, str | Constant]
) -> dict[str, dict[Role, str]]:
    """Key -> tenant and region of the newest landed row, as staging chooses it."""
    newest: dict[str, tuple[Any, dict[Role, str] | None]] = {}
    wanted = ["key", "operation", "payload", "row_hash", "event_time", "ingested_at"]
    for batch in lake.raw(source).batches(wanted):
        for row in batch.to_pylist():
            rank = (row["event_time"] or row["ingested_at"], row["ingested_at"], row["row_hash"])
            if row["key"] in newest and newest[row["key"]][0] > rank:
                continue
            named: dict[Role, str] | None = None
            if row["operation"] != "delete":
                payload = json.loads(row["payload"])
                named = {
                    role: column.value
                    if isinstance(column, Constant)
                    else identity_of(payload.get(column)) or ""
                    for role, column in columns.items()
                }
            newest[row["key"]] = (rank, named)
    return {key: named for key, (_, named) in newest.items() if named is not None}


def _formerly(value: str, *, one_line: bool) -> str:
    text = value.replace("\x00", "").replace("\r\n", "\n")
    text = unicodedata.normalize("NFC", text).strip(_TRIMMED)
    return _WHITE_SPACE.sub(" ", text) if one_line else text
