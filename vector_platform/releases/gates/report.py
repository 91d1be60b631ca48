"""The report of the gates, for the Dagster UI (Markdown), for mail and archives (HTML), as JSON.

Belongs here: three renderings of one model, `GateReport`. The same report gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from vector_platform.quality.pictures.markdown import table
from vector_platform.releases.evaluation.changed_answers import rows_of
from vector_platform.releases.gates.gates import Gate, GateReport

Row = Sequence[object]

_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:.5em 0 1.5em}"
    "td,th{border:1px solid #bbb;padding:.2em .6em;text-align:left}"
)


def report_facts(report: GateReport) -> dict[str, Any]:
    """The report as plain values; the raw scores stay with the evidence."""
    return {
        "outcome": report.outcome,
        **dict(_head(report)),
        "gates": [
            {
                "gate": gate.name,
                "outcome": gate.outcome,
                "why": gate.why,
                "numbers": dict(gate.numbers),
                "slices": [dict(row) for row in gate.table],
            }
            for gate in report.gates
        ],
        "changed_answers": [asdict(one) for one in report.evidence.changed],
    }


def as_markdown(report: GateReport, names: Mapping[str, str]) -> str:
    """The report for the Dagster UI; `names` are shown for ids, see `changed_answers.names_of`."""
    lines = [f"## {_title(report)}", "", *table(("", ""), _head(report))]
    lines += ["", *table(_GATES, [_gate_row(gate) for gate in report.gates])]
    for title, columns, rows in _details(report, names):
        lines += ["", f"### {title}", "", *table(columns, rows)]
    return "\n".join(lines) + "\n"


def as_html(report: GateReport, names: Mapping[str, str]) -> str:
    """The report as one page that needs nothing else; `names` are shown for ids."""
    parts = [f"<h1>{escape(_title(report))}</h1>", _html_table((), _head(report))]
    parts.append(_html_table(_GATES, [_gate_row(gate) for gate in report.gates]))
    for title, columns, rows in _details(report, names):
        parts += [f"<h2>{escape(title)}</h2>", _html_table(columns, rows)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(_title(report))}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


_GATES = ("gate", "outcome", "why")
_CHANGED = ("query", "tenant", "live model finds", "new model finds")


def _title(report: GateReport) -> str:
    known = report.evidence
    return f"{known.backend} {known.index} {known.generation}: {report.outcome}"


def _head(report: GateReport) -> list[tuple[str, object]]:
    known = report.evidence
    return [
        ("model_version", known.model_version),
        ("change", known.change),
        ("live_generation", known.champion or "none"),
        ("measured_at", known.measured_at),
        ("snapshot", known.snapshot),
    ]


def _gate_row(gate: Gate) -> Row:
    return gate.name, gate.outcome, gate.why


def _details(report: GateReport, names: Mapping[str, str]) -> list[tuple[str, Row, list[Row]]]:
    """(title, columns, rows) of the answers that change, and of every gate's numbers and slices."""
    found: list[tuple[str, Row, list[Row]]] = []
    if report.evidence.changed:
        title = f"{len(report.evidence.changed)} answers that change most: look before you approve"
        found.append((title, _CHANGED, list(rows_of(report.evidence.changed, names))))
    for gate in report.gates:
        if gate.numbers:
            rows: list[Row] = [(name, _shown(value)) for name, value in gate.numbers.items()]
            found.append((gate.name, ("number", "value"), rows))
        if gate.table:
            columns = tuple(gate.table[0])
            slices = [tuple(_shown(row[name]) for name in columns) for row in gate.table]
            found.append((f"{gate.name} by slice", columns, list(slices)))
    return found


def _shown(value: float | int | str) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _html_table(columns: Row, rows: Sequence[Row]) -> str:
    head = "".join(f"<th>{escape(str(cell))}</th>" for cell in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"
