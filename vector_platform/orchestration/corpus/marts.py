"""Staging and marts: the dbt models as assets, and the marts published to the lake.

Belongs here: the dbt project's assets and `lake/documents`, `lake/relations`.

dbt tests appear as asset checks. A test that fails fails the run, so nothing is published.
"""

# Dagster reads the types of parameters as they are, so no postponed annotations here.
import json
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets
from packaging.version import Version

from vector_platform.corpus.dbt_project import (
    database_path,
    ensure_manifest,
    find_template,
    render_dbt_project,
)
from vector_platform.corpus.publish import publish_marts, require_free
from vector_platform.errors import TerminalError
from vector_platform.lake.contract import DOCUMENTS, RELATIONS, canonical_json
from vector_platform.orchestration import keys
from vector_platform.orchestration.automation import Condition, follow_corpus, follow_sources
from vector_platform.orchestration.columns import table_metadata
from vector_platform.orchestration.inputs import INPUTS, source_inputs
from vector_platform.orchestration.runs.retries import retry_by_type
from vector_platform.settings import Settings
from vector_platform.wiring import Platform


class NothingBuilt(TerminalError):
    """The marts are asked for before dbt has built them."""


class _Dbt(DbtCliResource):
    """Dbt of the environment that runs this, whatever the PATH says.

    dagster-dbt starts it once more before each command to ask for its version, which takes longer
    than many a build; the environment knows.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))


class _Translator(DagsterDbtTranslator):
    """Names dbt's nodes as the platform does: raw/x, staging/stg_x, marts/x."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._deployment = settings

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            key = keys.raw(dbt_resource_props["name"])
        else:
            group = self.get_group_name(dbt_resource_props)
            key = dg.AssetKey([group, dbt_resource_props["name"]])
        return keys.placed(key, self._deployment)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return "marts" if "marts" in dbt_resource_props["fqn"] else "staging"

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return [f"team:{self._deployment.owner}"]

    def get_partition_mapping(
        self,
        dbt_resource_props: Mapping[str, Any],
        dbt_parent_resource_props: Mapping[str, Any],
    ) -> dg.PartitionMapping | None:
        parent = dbt_parent_resource_props["resource_type"]
        return dg.AllPartitionMapping() if parent == "source" else None

    def get_automation_condition(self, dbt_resource_props: Mapping[str, Any]) -> Condition | None:
        if self.get_group_name(dbt_resource_props) == "staging":
            return follow_sources(self._deployment)
        return follow_corpus(self._deployment)


def build_staging_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The dbt models and the published marts."""
    project = render_dbt_project(settings, template=find_template(settings))

    @dbt_assets(
        # As a value: a path is read once in a process, also after a source was added.
        manifest=json.loads(ensure_manifest(project).read_bytes()),
        dagster_dbt_translator=_Translator(settings),
        name=keys.named("dbt_models", settings),
        pool="dbt",
    )
    @keys.of_platform(settings)
    def dbt_models(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[Any]:
        selected = {
            dg.AssetKey(keys.plain(key, settings).split("/")) for key in context.selected_asset_keys
        }
        with _writing(platform, context):
            with retry_by_type():
                require_free(database_path(project))
            with _recording(project, source_inputs(platform), selected):
                yield from _dbt(project).cli(["build"], context=context).stream()

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                keys.placed(key, settings),
                deps=[keys.placed(mart, settings)],
                group_name="lake",
                owners=[f"team:{settings.owner}"],
                kinds={"delta", "python"},
                description=spec.description,
                metadata=table_metadata(spec, f"{settings.lake_uri}/{spec.name}"),
                automation_condition=follow_corpus(settings),
                code_version="1",
            )
            for key, mart, spec in (
                (keys.DOCUMENTS, keys.MART_DOCUMENTS, DOCUMENTS),
                (keys.RELATIONS, keys.MART_RELATIONS, RELATIONS),
            )
        ],
        name=keys.named("published_marts", settings),
        pool="lake_documents",
    )
    @keys.of_platform(settings)
    def published_marts(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.MaterializeResult]:
        lake = platform.lake
        with _writing(platform, context), retry_by_type():
            inputs = _built_inputs(project)
            report = publish_marts(
                database_path(project), lake.documents, lake.relations, run_id=context.run_id
            )
        for key, table, counts in (
            (keys.DOCUMENTS, lake.documents, report.documents),
            (keys.RELATIONS, lake.relations, report.relations),
        ):
            yield dg.MaterializeResult(
                asset_key=keys.placed(key, settings),
                metadata={**asdict(counts), "lake_version": table.version(), INPUTS: inputs},
            )

    return [dbt_models, published_marts]


def staging_keys(settings: Settings) -> list[dg.AssetKey]:
    """Everything between the raw tables and the chunks."""
    found = [
        *(_staging_key(name) for name in settings.sources),
        keys.MART_DOCUMENTS,
        keys.MART_RELATIONS,
        keys.DOCUMENTS,
        keys.RELATIONS,
    ]
    return [keys.placed(key, settings) for key in found]


@contextmanager
def _writing(platform: Platform, context: dg.AssetExecutionContext) -> Iterator[None]:
    """Keep other runs off the warehouse: DuckDB takes one writer, and nobody beside it."""
    lock = platform.writing("warehouse", run_id=context.run_id, progress=context.log.info)
    with ExitStack() as stack:
        with retry_by_type():
            stack.enter_context(lock.held())
        yield


def _dbt(project: Path) -> DbtCliResource:
    return _Dbt(
        project_dir=str(project),
        profiles_dir=str(project),
        dbt_executable=str(Path(sys.executable).with_name("dbt")),
    )


@contextmanager
def _recording(
    project: Path, inputs: Mapping[str, str], selected: AbstractSet[dg.AssetKey]
) -> Iterator[None]:
    """Record what a dbt build is made of, when it succeeds: staging of sources, marts of staging.

    Part of the models may be selected. Staging remembers the raw versions it has read, and marts
    take over what their staging remembers, not what has landed in the meantime. A source that is
    no longer in the settings is forgotten, or nothing would ever be up to date again.
    """
    staged, built = _record(project, "staged"), _record(project, "built")
    sources = [name for name in inputs if _staging_key(name) in selected]
    others = inputs.keys() - sources
    of_staging = {name: value for name, value in _read(staged).items() if name in others}
    marts = {keys.MART_DOCUMENTS, keys.MART_RELATIONS} & selected
    _write(staged, of_staging)
    if marts:
        built.unlink(missing_ok=True)
    yield
    of_staging |= {name: inputs[name] for name in sources}
    _write(staged, of_staging)
    if marts:
        _write(built, of_staging)


def _built_inputs(project: Path) -> str:
    built = _record(project, "built")
    if not built.exists():
        raise NothingBuilt("dbt has not built the marts: materialise staging and marts first")
    return canonical_json(_read(built))


def _staging_key(source: str) -> dg.AssetKey:
    return dg.AssetKey(["staging", f"stg_{source}"])


def _record(project: Path, what: str) -> Path:
    return database_path(project).with_suffix(f".{what}.json")


def _read(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _write(path: Path, inputs: Mapping[str, str]) -> None:
    path.write_text(json.dumps(inputs, indent=1), encoding="utf-8")
