"""Contract checks: what must hold before anything downstream may run. All blocking.

Belongs here: assertions that the lake's contract makes.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from typing import Any

import dagster as dg

from vector_platform.lake.audit import Finding, audit_chunks, audit_vectors
from vector_platform.lake.snapshots import Snapshot
from vector_platform.orchestration import keys
from vector_platform.orchestration.runs.checks import model_check
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.orchestration.showing import arranged, picture, shown_table
from vector_platform.quality.pictures.check_pictures import stacked_counts
from vector_platform.quality.pictures.markdown import quote
from vector_platform.remediation import checks
from vector_platform.remediation.next_steps import what_happens
from vector_platform.settings import Settings
from vector_platform.wiring import Platform

# Rows shown of each rule.
EXAMPLES = 5


def build_contract_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Blocking checks of `lake/chunks` and `lake/embeddings`."""

    @dg.asset_check(
        asset=keys.placed(keys.CHUNKS, settings),
        **keys.declared(checks.CHUNKS),
    )
    @keys.of_platform(settings)
    def chunks(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
        with retry_by_type():
            return audited_chunks(platform)

    @model_check(settings, keys.EMBEDDINGS, checks.COMPLETE)
    def complete(platform: Platform, model_version: str, run_id: str) -> dg.AssetCheckResult:
        snapshot = platform.lake.snapshot()
        missing = platform.lake.count_missing(model_version, snapshot)
        return dg.AssetCheckResult(
            passed=missing == 0,
            metadata={
                "contents_missing": missing,
                **(_missing(platform, model_version, snapshot) if missing else {}),
                "diagnosis": f"{missing} contents of the chunks have no vector."
                if missing
                else "Every content of the chunks has a vector.",
                "what_happens": "Nothing downstream of it runs. "
                + what_happens(
                    checks.COMPLETE,
                    platform.settings,
                    passed=False,
                    model_version=model_version,
                )
                if missing
                else "Nothing: none is missing.",
                "what_to_do": f"Materialise lake/embeddings for {model_version}; it embeds "
                "only what is missing.",
            },
        )

    @model_check(settings, keys.EMBEDDINGS, checks.VECTORS)
    def vectors(platform: Platform, model_version: str, run_id: str) -> dg.AssetCheckResult:
        vectors_of = platform.lake.model_version(model_version).vectors_of
        return _result(
            audit_vectors(platform.lake, vectors_of),
            platform.settings,
            checks.VECTORS,
            model_version,
        )

    return [chunks, complete, vectors]


def _missing(
    platform: Platform, model_version: str, snapshot: Snapshot
) -> dict[str, dg.MarkdownMetadataValue]:
    """Some of the contents that have no vector."""
    batch = next(
        platform.lake.missing_contents(
            model_version, chunks_version=snapshot.chunks, batch_rows=EXAMPLES
        ),
        None,
    )
    rows = batch.to_pylist() if batch else []
    return {
        "examples": shown_table(
            ("content_hash", "text"), ((row["content_hash"], quote(row["text"])) for row in rows)
        )
    }


def audited_chunks(platform: Platform) -> dg.AssetCheckResult:
    """What `chunks_keep_the_contract` says of the chunks as they are."""
    found = _result(audit_chunks(platform.lake), platform.settings, checks.CHUNKS)
    return arranged(checks.CHUNKS, found)


def _result(
    findings: list[Finding], settings: Settings, check: str, model_version: str | None = None
) -> dg.AssetCheckResult:
    """Passed when no finding counts a row; every finding is listed with its rows."""
    broken = [finding for finding in findings if finding.rows]
    counts = {f"rows_breaking_{finding.rule}": finding.rows for finding in findings}
    follows = what_happens(
        check, settings, passed=not broken, facts=counts, model_version=model_version
    )
    return dg.AssetCheckResult(
        passed=not broken,
        metadata={
            "violations": sum(finding.rows for finding in broken),
            **counts,
            "sample": dg.MetadataValue.json({f.rule: f.sample for f in broken}),
            **(_examples(broken) if broken else {}),
            "diagnosis": _diagnosis(broken),
            "what_happens": f"Nothing downstream of it runs. {follows}"
            if broken
            else "Nothing: the contract is kept.",
        },
    )


def _examples(broken: list[Finding]) -> dict[str, Any]:
    """Rows with the field that breaks a rule, and the way out; drawn for several rules."""
    shown: dict[str, Any] = {
        "examples": shown_table(
            ("rule", "row", "field", "value", "way out"),
            (
                (found.rule, quote(row), found.field, quote(value), found.way_out)
                for found in broken
                for row, value in list(zip(found.sample, found.values, strict=True))[:EXAMPLES]
            ),
        )
    }
    if len(broken) > 1:
        title = "rows that break the contract, by rule"
        counts = {found.rule: {"rows": found.rows} for found in broken}
        png = stacked_counts(counts, measured="rows", title=title)
        shown["picture"] = picture(png, title)
    return shown


def _diagnosis(broken: list[Finding]) -> str:
    if not broken:
        return "Every row keeps every rule."
    return "Rows that break the contract: " + "; ".join(
        f"{found.rule} {found.rows:,} ({found.field})" for found in broken
    )
