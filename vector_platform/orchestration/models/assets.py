"""Embeddings: vectors of the contents that a model version has not seen yet.

Belongs here: the asset `lake/embeddings`, partitioned by model version. Only missing contents are
embedded, and every commit counts, so a killed run resumes where it was. A model that does not
answer as registered embeds nothing, and what came since it last did is quarantined; the check
`model_answers_as_registered` says so.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import dagster as dg
import pyarrow as pa

from vector_platform.lake.contract import EMBEDDINGS
from vector_platform.lake.derived.given_rows import copied_until, rows_to_copy
from vector_platform.lake.snapshots import VersionsByDay
from vector_platform.lake.storage.commits import Append
from vector_platform.lake.tables import run_metadata
from vector_platform.models.canaries.monitor import ModelMonitor, Verdict
from vector_platform.models.derived.aligning import align_missing
from vector_platform.models.derived.versions import DerivedEmbedder
from vector_platform.models.embed import EmbedProgress, EmbedReport, embed_missing
from vector_platform.models.given.copying import copy_given
from vector_platform.models.given.reproduction import measure_query_model
from vector_platform.models.given.version import GivenEmbedder
from vector_platform.models.registry import registration
from vector_platform.orchestration import keys
from vector_platform.orchestration.automation import follow_chunks
from vector_platform.orchestration.columns import table_metadata
from vector_platform.orchestration.partitions import model_versions
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.progress import EVERY_SECONDS, describe_progress
from vector_platform.quality.drift.calibration import first_reference
from vector_platform.quality.sketches.daily import sync_sketches
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


def build_embeddings_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset `lake/embeddings`."""

    @dg.asset(
        key=keys.placed(keys.EMBEDDINGS, settings),
        owners=[f"team:{settings.owner}"],
        deps=[keys.placed(keys.CHUNKS, settings)],
        partitions_def=model_versions(settings),
        group_name="lake",
        kinds={"delta", "python"},
        description=EMBEDDINGS.description,
        metadata=table_metadata(EMBEDDINGS, f"{settings.lake_uri}/{EMBEDDINGS.name}"),
        automation_condition=follow_chunks(settings),
        pool="lake_embeddings",
        code_version="1",
    )
    @keys.of_platform(settings)
    def embeddings(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:
        with retry_by_type():
            # Chunks that come while this runs may have no vectors: they are the next run's.
            versions = platform.lake.versions_by_day()
            done = embed(platform, context.partition_key, context.run_id, context.log.info)
            sketched = (
                sketch(platform, context.partition_key, versions, context.run_id)
                if done.trusted
                else {}
            )
        report = done.report
        snapshot = platform.lake.snapshot()
        price = platform.settings.models[context.partition_key].usd_per_million_tokens
        return dg.MaterializeResult(
            metadata={
                **asdict(report),
                "seconds": round(report.seconds, 3),
                "encode_seconds": round(report.encode_seconds, 3),
                "texts_per_second": round(report.texts_per_second, 1),
                "aligned": done.aligned,
                "cost_usd": round(report.tokens * price / 1e6, 6),
                **sketched,
                **done.facts,
                "vectors_quarantined": done.quarantined,
                "lake_version": snapshot.embeddings,
                "snapshot": str(snapshot),
            },
            data_version=dg.DataVersion(str(snapshot)),
        )

    return embeddings


@dataclass(frozen=True)
class EmbedOutcome:
    """What a run did to a model version.

    Attributes:
        report: What was embedded; nothing when the model did not answer as registered.
        aligned: Vectors aligned from another model version's.
        verdict: How the model answered its canaries, at the end; None where none is asked, since
            the vectors are given.
        quarantined: Vectors moved into quarantine.
        copied: What was copied from landed rows, of a version whose vectors are given.
    """

    report: EmbedReport
    aligned: int
    verdict: Verdict | None
    quarantined: int
    copied: Mapping[str, Any] = field(default_factory=dict)

    @property
    def trusted(self) -> bool:
        """Whether the model answers as registered, where it is asked."""
        return self.verdict is None or self.verdict.passed

    @property
    def facts(self) -> dict[str, Any]:
        """Canaries, or what was copied, for metadata."""
        if self.verdict is None:
            return dict(self.copied)
        return {"canaries_differing": self.verdict.canaries_differing}


NOTHING = EmbedReport(0, 0, 0, 0, 0.0, 0.0)


def embed(
    platform: Platform, model_version: str, run_id: str, log: Callable[[str], None]
) -> EmbedOutcome:
    """Register the model version and give every content that lacks a vector one.

    An adapter has no vectors of its own: its base gets those that are missing, and is the one to
    answer canaries. A aligned version takes over what its old model has, and embeds only what
    that has not seen either.
    """
    lake = platform.lake
    embedder = platform.embedder(model_version)
    lake.register_model(registration(embedder, run_id))
    chunks_version = lake.chunks.version()
    spec = platform.settings.models[model_version]
    if isinstance(embedder, GivenEmbedder):
        return _copy(platform, embedder, chunks_version, run_id, log)
    if spec.adapter_of is not None:
        return embed(platform, spec.adapter_of, run_id, log)

    def write() -> tuple[EmbedReport, int]:
        commit, aligned = _committer(platform, model_version, run_id), 0
        if spec.aligned is not None:
            assert isinstance(embedder, DerivedEmbedder)
            old = spec.aligned.source
            aligned = align_missing(
                embedder,
                lake.unaligned(old, model_version, chunks_version=chunks_version),
                run_id=run_id,
                commit=commit,
                on_progress=lambda done: log(f"{done} vectors aligned"),
            ).vectors
        missing = lake.missing_contents(model_version, chunks_version=chunks_version)
        return _embed(platform, model_version, missing, run_id, commit, log), aligned

    return _between_probes(platform, model_version, run_id, write, log)


def _copy(
    platform: Platform,
    embedder: GivenEmbedder,
    chunks_version: int,
    run_id: str,
    log: Callable[[str], None],
) -> EmbedOutcome:
    """Copy the vectors that landed rows hold, and let the query model make a sample of them."""
    lake, name = platform.lake, embedder.name
    seen = copied_until(lake, name, chunks_version)

    with platform.writing(f"vectors of {name}", run_id=run_id, progress=log).held():
        append = _committer(platform, name, run_id)
        report = copy_given(
            embedder,
            rows_to_copy(lake, name, chunks_version=chunks_version),
            columns={
                source: one
                for source in platform.settings.sources
                for one in platform.vector_columns(source)
                if one.model_version == name
            },
            run_id=run_id,
            commit=lambda rows, well: append(rows, seen if well else {}),
        )
        facts = measure_query_model(lake, embedder, run_id=run_id)
    counts = {"vectors_copied": report.vectors, "vectors_compared": report.compared}
    done = replace(NOTHING, texts=report.vectors, commits=report.commits)
    return EmbedOutcome(done, 0, None, 0, {**counts, **facts})


def embed_contents(
    platform: Platform,
    model_version: str,
    contents: Iterable[pa.RecordBatch],
    run_id: str,
    log: Callable[[str], None],
) -> EmbedOutcome:
    """Embed some contents that have no vector yet: batches of (content_hash, text).

    They are asked for once nobody else on this machine writes vectors of the model version.

    Raises:
        ModelError: The vectors of the version are given.
    """

    def write() -> tuple[EmbedReport, int]:
        commit = _committer(platform, model_version, run_id)
        return _embed(platform, model_version, contents, run_id, commit, log), 0

    return _between_probes(platform, model_version, run_id, write, log)


def _between_probes(
    platform: Platform,
    model_version: str,
    run_id: str,
    write: Callable[[], tuple[EmbedReport, int]],
    log: Callable[[str], None],
) -> EmbedOutcome:
    """Write vectors while the model answers its canaries as registered, and ask once more after."""
    monitor = ModelMonitor(platform.lake, platform.embedder(model_version), run_id=run_id)
    with platform.writing(f"vectors of {model_version}", run_id=run_id, progress=log).held():
        quarantined = monitor.carry_out()  # what a killed run has condemned and not moved
        verdict = monitor.probe()
        report, aligned = write() if verdict.passed else (NOTHING, 0)
        if report.texts or aligned:
            verdict = monitor.probe()
        monitor.record(verdict)
        return EmbedOutcome(report, aligned, verdict, quarantined + monitor.carry_out())


def _embed(
    platform: Platform,
    model_version: str,
    contents: Iterable[pa.RecordBatch],
    run_id: str,
    commit: Callable[[pa.Table], None],
    log: Callable[[str], None],
) -> EmbedReport:
    total: int | None = None

    def say(done: EmbedProgress) -> None:
        nonlocal total
        if done.seconds < EVERY_SECONDS:
            return
        if total is None:
            missing = platform.lake.count_missing(model_version, platform.lake.snapshot())
            total = done.committed + missing
        log(
            describe_progress(f"texts embedded by {model_version}", done.texts, done.seconds, total)
        )

    return embed_missing(
        platform.embedder(model_version),
        contents,
        run_id=run_id,
        commit=commit,
        on_progress=say,
    )


def _committer(platform: Platform, model_version: str, run_id: str) -> Append:
    """Appends vectors of contents that are found missing from now on."""
    metadata = run_metadata(run_id, f"embed {model_version}")
    return platform.lake.embeddings.appender(f"vectors of {model_version}", metadata)


def sketch(
    platform: Platform, model_version: str, versions: VersionsByDay, run_id: str
) -> dict[str, int]:
    """Bring the drift sketches up to these chunks; says what was counted.

    An adapter has no vectors, and so no stream of its own.
    """
    lake = platform.lake
    if platform.settings.models[model_version].adapter_of is not None:
        return {"sketched_rows": 0}
    days = platform.settings.quality.drift_reference_days
    reference = first_reference(lake, model_version, versions, days=days, run_id=run_id)
    if reference is None:
        return {"sketched_rows": 0}
    report = sync_sketches(lake, reference, versions, run_id=run_id)
    return {"sketched_rows": report.sketched_rows, "sketches_written": report.sketches_written}
