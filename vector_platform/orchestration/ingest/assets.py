"""Raw assets: what a source delivered on a day, landed untouched.

Belongs here: one daily-partitioned asset a source.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from vector_platform.lake.contract import raw_spec
from vector_platform.orchestration import keys
from vector_platform.orchestration.columns import table_metadata
from vector_platform.orchestration.partitions import daily
from vector_platform.orchestration.runs.jobs import JobConfig
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.orchestration.showing import arranged
from vector_platform.remediation.checks import LANDED
from vector_platform.settings import FrameSource, Settings, SourceSettings
from vector_platform.sources.landing.days import open_days
from vector_platform.sources.landing.landed import landed_days
from vector_platform.sources.landing.landing import land
from vector_platform.sources.landing.report import LandingReport
from vector_platform.sources.preflight import require_columns
from vector_platform.wiring import Platform


class LandingConfig(JobConfig):
    """Which days a landing takes besides its own.

    Attributes:
        earlier_days: Earlier days, too, that nobody has landed, of a source with a time column.
            Without it, or with several partitions, exactly the chosen days.
    """

    earlier_days: bool = True


def landing_config(
    settings: Settings, sources: Sequence[str], *, earlier_days: bool
) -> dict[str, Any]:
    """Run configuration of the landings of some sources."""
    config = {"config": {"earlier_days": earlier_days}}
    assets = (keys.placed(keys.raw(name), settings) for name in sources)
    return {"ops": {key.to_python_identifier(): config for key in assets}}


def build_raw_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """One asset a source of `platform.yaml`."""
    return [_raw_asset(settings, name, spec) for name, spec in settings.sources.items()]


def _raw_asset(settings: Settings, name: str, spec: SourceSettings) -> dg.AssetsDefinition:
    table = raw_spec(name)
    upstream = upstream_of(spec)

    @dg.asset(
        key=keys.placed(keys.raw(name), settings),
        ins={"rows": dg.AssetIn(key=upstream)} if upstream else {},
        partitions_def=daily(settings),
        automation_condition=dg.AutomationCondition.eager() if upstream else None,
        group_name="raw",
        kinds={"delta", spec.kind if spec.kind != "files" else "file"},
        owners=[f"team:{settings.owner_of(name)}"],
        description=spec.description or table.description,
        metadata=table_metadata(table, f"{settings.lake_uri}/{table.name}"),
        check_specs=[
            dg.AssetCheckSpec(asset=keys.placed(keys.raw(name), settings), **keys.declared(LANDED))
        ],
        pool=f"raw_{name}",
        backfill_policy=dg.BackfillPolicy.single_run(),
        code_version="1",
    )
    @keys.of_platform(settings)
    def raw(
        context: dg.AssetExecutionContext,
        config: LandingConfig,
        platform: dg.ResourceParam[Platform],
        **rows: object,
    ) -> dg.MaterializeResult:
        asked = [date.fromisoformat(key) for key in context.partition_keys]
        with retry_by_type():
            report = _land(platform, name, asked, config, context.run_id, context.log.info, **rows)
        # One event a day, so that the days that nobody asked for are not landed once more.
        for day in report.days:
            if day not in asked:
                context.log_event(
                    dg.AssetMaterialization(
                        keys.placed(keys.raw(name), settings),
                        partition=day.isoformat(),
                        metadata={"landed_with": asked[-1].isoformat()},
                    )
                )
        share = report.rejected / max(report.rows_read, 1)
        return dg.MaterializeResult(
            metadata={**report.facts(), "lake_version": platform.lake.raw(name).version()},
            check_results=[_landing_check(report, share, settings.quality.max_reject_share)],
        )

    return raw


def _land(
    platform: Platform,
    name: str,
    asked: Sequence[date],
    config: LandingConfig,
    run_id: str,
    log: Callable[[str], None],
    rows: object = None,
) -> LandingReport:
    lake, spec, first_day = (
        platform.lake,
        platform.settings.sources[name],
        platform.settings.start_date,
    )
    day, also = max(asked), frozenset(asked) - {max(asked)}
    with platform.writing(f"raw/{name}", run_id=run_id, progress=log).held():
        if spec.fields.time is not None and not also and config.earlier_days:
            also = open_days(landed_days(lake.landings, name), day, first_day)
            if also:
                log(f"source {name}: lands {min(also)} to {day}; {len(also)} days before were open")
        source = platform.source(name, rows=rows)
        require_columns(name, spec, source)
        return land(
            lake=lake,
            name=name,
            spec=spec,
            source=source,
            day=day,
            also=also,
            first_day=first_day,
            run_id=run_id,
            now=datetime.now(UTC),
            say=log,
            vectors=platform.vector_columns(name),
        )


def upstream_of(spec: SourceSettings) -> dg.AssetKey | None:
    """The asset of somebody else that a source reads."""
    if not isinstance(spec, FrameSource) or spec.asset is None:
        return None
    return dg.AssetKey(spec.asset.split("/"))


def _landing_check(report: LandingReport, share: float, max_share: float) -> dg.AssetCheckResult:
    tolerated = share <= max_share
    answer = dg.AssetCheckResult(
        check_name=LANDED,
        passed=report.rejected == 0,
        severity=dg.AssetCheckSeverity.WARN if tolerated else dg.AssetCheckSeverity.ERROR,
        metadata={
            "rejected": report.rejected,
            "reject_share": round(share, 6),
            "reasons": dg.MetadataValue.json(report.reject_reasons),
            "sample": dg.MetadataValue.json(report.reject_sample),
            "diagnosis": f"{report.rejected} of {report.rows_read} rows were rejected: "
            f"{', '.join(f'{rows} {why}' for why, rows in report.reject_reasons.items())}."
            if report.rejected
            else "Every row that was read may land.",
            "what_happens": "The others have landed. Mend these at the source and run this "
            "partition again: they land and leave the lake table raw_rejects.",
        },
    )
    return arranged(LANDED, answer)
