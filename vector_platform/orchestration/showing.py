"""What the Dagster UI shows of a check: what is wrong first, then what is plotted, then the rest.

Belongs here: how every answer of a check is arranged, reading it back, and the pictures and tables
that more than one check needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from vector_platform.quality.pictures.markdown import table
from vector_platform.quality.pictures.plots import as_markdown
from vector_platform.remediation.checks import CHECKS

# Dagster sorts the metadata of a check by name: this one comes first.
FIRST = "1_diagnosis"
# Everything that is neither said first, nor plotted, nor shown as a list or a picture.
FACTS = "facts"
NEXT = " Next: "
# Sentences for whoever wants to do more.
ADVICE = ("what_this_means", "what_to_do")
_PLAIN = (
    dg.TextMetadataValue,
    dg.IntMetadataValue,
    dg.FloatMetadataValue,
    dg.BoolMetadataValue,
)
_FACTS_SCHEMA = dg.TableSchema(
    columns=[dg.TableColumn("fact", "string"), dg.TableColumn("value", "string")]
)


def arranged(check: str, answer: dg.AssetCheckResult) -> dg.AssetCheckResult:
    """An answer of a check as people see it.

    What is wrong and what happens next is the first key. Where nothing can be told either way, the
    answer is a warning and not a success. Numbers that mean something over time keep their names.

    Args:
        check: Name of its record.
        answer: What it has found: `diagnosis`, `what_happens`, facts, lists, pictures.
    """
    record, metadata = CHECKS[check], dict(answer.metadata or {})
    said, follows = (_pop(metadata, name) for name in ("diagnosis", "what_happens"))
    plain = {name: one.value for name, one in metadata.items() if isinstance(one, _PLAIN)}
    undecided = record.undecided(plain)
    passed = answer.passed and not undecided
    apart = {*record.plots, *ADVICE}
    facts = {name: value for name, value in plain.items() if name not in apart}
    return answer._replace(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN if undecided else answer.severity,
        metadata={
            FIRST: dg.MetadataValue.text(said if passed else f"{said}{NEXT}{follows}"),
            **{name: value for name, value in metadata.items() if name not in facts},
            **({FACTS: _facts(facts)} if facts else {}),
        },
    )


def unfolded(metadata: Mapping[str, dg.MetadataValue]) -> dict[str, Any]:
    """What a check has found, as plain values under the names that it gave them."""
    found = {name: value.value for name, value in metadata.items()}
    table, first = metadata.get(FACTS), found.pop(FIRST, None)
    if isinstance(table, dg.TableMetadataValue):
        found.pop(FACTS)
        found |= {str(row.data["fact"]): row.data["value"] for row in table.records}
    if first is not None:
        said, _, follows = str(first).partition(NEXT)
        found |= {"diagnosis": said, "what_happens": follows}
    return found


def _pop(metadata: dict[str, Any], name: str) -> str:
    value = metadata.pop(name, None)
    return str(value.value) if value is not None else ""


def _facts(facts: Mapping[str, Any]) -> dg.TableMetadataValue:
    rows = [dg.TableRecord({"fact": name, "value": value}) for name, value in facts.items()]
    return dg.TableMetadataValue(rows, _FACTS_SCHEMA)


def picture(png: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """A picture with its bytes inside."""
    return dg.MetadataValue.md(as_markdown(png, alt))


def shown_table(
    columns: Sequence[object], rows: Iterable[Sequence[object]]
) -> dg.MarkdownMetadataValue:
    """A table."""
    return dg.MetadataValue.md("\n".join(table(columns, rows)))
