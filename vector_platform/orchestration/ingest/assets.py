"""Raw assets: what a source delivered on a day, landed untouched.

Belongs here: one daily-partitioned asset a source.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from datetime import UTC, date, datetime

import dagster as dg

from vector_platform.lake.contract import raw_spec
from vector_platform.orchestration import keys
from vector_platform.orchestration.columns import table_metadata
from vector_platform.orchestration.partitions import daily
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.remediation.checks import LANDED
from vector_platform.settings import Settings, SourceSettings
from vector_platform.sources.landing.landing import land
from vector_platform.sources.landing.report import LandingReport
from vector_platform.sources.preflight import require_columns
from vector_platform.wiring import Platform


def build_raw_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """One asset a source of `platform.yaml`."""
    return [_raw_asset(settings, name, spec) for name, spec in settings.sources.items()]


def _raw_asset(settings: Settings, name: str, spec: SourceSettings) -> dg.AssetsDefinition:
    table = raw_spec(name)

    @dg.asset(
        key=keys.raw(name),
        partitions_def=daily(settings),
        group_name="raw",
        kinds={"delta", spec.kind if spec.kind != "files" else "file"},
        owners=[f"team:{settings.owner_of(name)}"],
        description=spec.description or table.description,
        metadata=table_metadata(table, f"{settings.lake_uri}/{table.name}"),
        check_specs=[dg.AssetCheckSpec(asset=keys.raw(name), **keys.declared(LANDED))],
        pool=f"raw_{name}",
        code_version="1",
    )
    def raw(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        with retry_by_type():
            spec, source = platform.settings.sources[name], platform.source(name)
            require_columns(name, spec, source)
            report = land(
                lake=platform.lake,
                name=name,
                spec=spec,
                source=source,
                day=date.fromisoformat(context.partition_key),
                first_day=platform.settings.start_date,
                run_id=context.run_id,
                now=datetime.now(UTC),
                say=context.log.info,
            )
        share = report.rejected / max(report.rows_read, 1)
        return dg.MaterializeResult(
            metadata={**report.facts(), "lake_version": platform.lake.raw(name).version()},
            check_results=[_landing_check(report, share, settings.quality.max_reject_share)],
        )

    return raw


def _landing_check(report: LandingReport, share: float, max_share: float) -> dg.AssetCheckResult:
    tolerated = share <= max_share
    return dg.AssetCheckResult(
        check_name=LANDED,
        passed=report.rejected == 0,
        severity=dg.AssetCheckSeverity.WARN if tolerated else dg.AssetCheckSeverity.ERROR,
        metadata={
            "rejected": report.rejected,
            "reject_share": round(share, 6),
            "reasons": dg.MetadataValue.json(report.reject_reasons),
            "sample": dg.MetadataValue.json(report.reject_sample),
            "what_to_do": "Read the lake table raw_rejects, mend the rows at the source and run "
            "this partition again: mended rows land and leave raw_rejects.",
        },
    )
