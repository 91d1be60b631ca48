"""`Settings`: the whole of `platform.yaml`, section by section.

Belongs here: the small sections, what must fit between sections, and the paths that follow from
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from vector_platform.problems import nearest
from vector_platform.settings.base import BackendName, ModelVersion, Section, SourceName
from vector_platform.settings.indexes import Guard, Indexes
from vector_platform.settings.models import Chunking, Model, Retraining, Upgrades
from vector_platform.settings.quality import Acting, Quality
from vector_platform.settings.releases import Releases
from vector_platform.settings.sources import FrameSource, GoldenQueries, PackageName, SourceSettings

# Folder of the data folder with the model versions that the platform made itself.
OWN_MODELS = "model_versions"
# Context of a validation that takes what is left of a file with problems (`usable.py`).
PARTIAL = "partial"


# First parts of the platform's own keys, besides the backends': a key must say whether it has a
# prefix.
_FIRST_PARTS = {"raw", "staging", "marts", "lake", "quality"}


class Lake(Section):
    """Where the Delta tables are. Credentials come from the store's own environment variables."""

    uri: str | None = Field(default=None, description="Default: `lake/` in the data folder.")


class Schedules(Section):
    """Cron lines, in `timezone`, and how often sensors look."""

    ingest_daily: str = "15 3 * * *"
    sweep_nightly: str = "45 4 * * *"
    timezone: str = "UTC"
    sensor_seconds: int = Field(default=30, ge=1)


class Runs(Section):
    """Runs that the daemon starts."""

    max_hours: float = Field(
        default=24.0,
        gt=0,
        description="A run that takes longer is ended and started once more: what it has "
        "committed counts, so a long embedding goes on where it was.",
    )
    user_header: str | None = Field(
        default=None,
        min_length=1,
        description="Header of a request to the UI with the name of who is signed in, as the "
        "proxy before it sets it: that person answers for what they launch.",
    )
    user: str | None = Field(
        default=None,
        min_length=1,
        description="Who answers for runs without such a header; the user of the operating "
        "system if not set.",
    )


class Settings(Section):
    """The whole of `platform.yaml`."""

    data: Path = Field(
        default=Path(".vector_platform"),
        description="Folder of everything local: lake, servers, dbt state, Dagster instance. "
        "Relative to the file.",
    )
    lake: Lake = Lake()
    owner: str = Field(default="platform-team", description="Team that owns what no source owns.")
    key_prefix: SourceName | None = Field(
        default=None,
        description="Put before every asset, job, sensor and resource, where a Dagster project "
        "holds more than this deployment.",
    )
    start_date: date = Field(description="First daily partition of the raw sources.")
    sources: dict[SourceName, SourceSettings]
    source_packages: tuple[PackageName, ...] = Field(
        default=(),
        description="Installed packages that `class` of a source may name, besides what lies "
        "beside the file.",
    )
    chunking: Chunking = Chunking()
    models: dict[ModelVersion, Model]
    indexes: Indexes = Indexes()
    guard: Guard = Guard()
    golden_queries: dict[SourceName, GoldenQueries] = {}
    schedules: Schedules = Schedules()
    runs: Runs = Runs()
    quality: Quality = Quality()
    upgrades: Upgrades = Upgrades()
    retraining: Retraining = Retraining()
    releases: Releases = Releases()
    acting: Acting = Acting()
    _root: Path = PrivateAttr(default=Path())
    _own: frozenset[str] = PrivateAttr(default=frozenset())

    @model_validator(mode="after")
    def _sections_fit(self, info: ValidationInfo) -> Settings:
        misfits = list(self.misfits()) if not (info.context or {}).get(PARTIAL) else []
        if misfits:
            raise ValueError("; ".join(f"{'.'.join(part)}: {what}" for part, what in misfits))
        return self

    def misfits(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What does not fit between sections: where, and why."""
        for name, section in (("sources", self.sources), ("models", self.models)):
            if not section:
                yield (name,), "at least one is needed"
        for name, golden in self.golden_queries.items():
            if golden.source not in self.sources:
                near = nearest(golden.source, self.sources)
                yield ("golden_queries", name), f"source {golden.source!r} is not in sources{near}"
        yield from _misnamed_models(self.models)
        yield from _unfit_vectors(self.sources, self.models)
        if self.key_prefix in _FIRST_PARTS | type(self.indexes).model_fields.keys():
            yield ("key_prefix",), "it is the first name of assets of the platform itself"
        if self.models and all(model.retired for model in self.models.values()):
            yield ("models",), "every model is retired; at least one must be active"

    @property
    def root(self) -> Path:
        """Folder of the file; relative paths in it start here."""
        return self._root

    @property
    def data_dir(self) -> Path:
        """Absolute path of the data folder."""
        return (self.root / self.data.expanduser()).resolve()

    @property
    def lake_uri(self) -> str:
        """URI of the lake's root folder."""
        return self.lake.uri or str(self.data_dir / "lake")

    @property
    def active_models(self) -> dict[str, Model]:
        """Model versions that are embedded and indexed, in the order of the file."""
        return {name: model for name, model in self.models.items() if not model.retired}

    @property
    def read_sources(self) -> list[str]:
        """Sources that are read whenever a day is landed; rows of the others are handed over."""
        return [name for name, spec in self.sources.items() if not isinstance(spec, FrameSource)]

    @property
    def whole_sources(self) -> list[str]:
        """Sources whose rows bring vectors along, so that their documents are not cut."""
        return [name for name, spec in self.sources.items() if spec.fields.vectors]

    def asks_others(self, model_version: str) -> bool:
        """Whether a model version, or the one that embeds its queries, may be on other machines."""
        model = self.models[model_version]
        queries = self.models.get(model.given.query_model or "") if model.given else None
        return any(one.hub or one.endpoint for one in (model, queries) if one is not None)

    def owner_of(self, source: str) -> str:
        """Team that owns what comes from a source; the deployment's where it names none."""
        spec = self.sources.get(source)
        return spec.owner if spec is not None and spec.owner else self.owner

    @property
    def embedded_backends(self) -> tuple[BackendName, ...]:
        """Backends in use that an embedded server serves."""
        sections = {name: self.indexes.section(name) for name in self.indexes.backends}
        return tuple(name for name, one in sections.items() if one is not None and one.is_embedded)


def _misnamed_models(models: Mapping[str, Model]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, model in models.items():
        part = ("models", name)
        expected = model.aligned.name if model.aligned else name
        if ("~" in name) != (model.aligned is not None) or name != expected:
            yield (
                part,
                "an aligned version is called NEW~from-OLD, and no other has a ~ in its name",
            )
        for base in model.bases if not model.retired else ():
            if base not in models:
                near = nearest(base, models)
                yield part, f"made from {base!r}, which is not in models{near}; retire it"
            elif models[base].bases:
                yield part, f"made from {base!r}, which is made from another one itself"
            elif models[base].given is not None:
                yield part, f"made from {base!r}, whose vectors are given: there is nothing to run"


def _unfit_vectors(
    sources: Mapping[str, SourceSettings], models: Mapping[str, Model]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Given vectors that no version is declared for, and versions that not every row has one of."""
    given = {name: model for name, model in models.items() if model.given is not None}
    for name, source in sources.items():
        part = ("sources", name, "fields", "vectors")
        for version in source.fields.vectors:
            if version not in given:
                why = "has no `given`" if version in models else "is not in models"
                yield (*part, version), f"model version {version!r} {why}{nearest(version, given)}"
        for version, model in given.items():
            if not model.retired and version not in source.fields.vectors:
                held = f"name the column that holds them ({version}: COLUMN)"
                yield part, f"an index holds every document, and {version} is given: {held}"
    for name, model in given.items():
        asked = model.given.query_model if model.given is not None else None
        if asked is not None and (asked not in models or asked in given):
            why = "has given vectors itself" if asked in given else "is not in models"
            near = nearest(asked, models.keys() - given.keys())
            yield ("models", name, "given", "query_model"), f"{asked!r} {why}{near}"
