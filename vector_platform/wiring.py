"""The one place that turns settings into working objects.

Belongs here: opening the lake, models, sources and backends that `platform.yaml` names. Everything
is opened on first use and kept, so that a process pays for a model or a connection once. Long, as
it has a method for each thing that a deployment opens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from vector_platform.errors import TerminalError
from vector_platform.faults import WrongPlace
from vector_platform.indexes.registry import open_index, settings_model
from vector_platform.lake.contract import canonical_json
from vector_platform.lake.given import VectorColumn
from vector_platform.lake.lake import Lake
from vector_platform.lake.preflight import name_problem
from vector_platform.settings import (
    BackendName,
    BackendSection,
    FrameSource,
    Reading,
    Settings,
    read_settings,
    reading_of,
    with_local_versions,
)

if TYPE_CHECKING:
    from vector_platform.corpus.chunking import Chunker
    from vector_platform.indexes.base import VectorIndex
    from vector_platform.indexes.state import GenerationState
    from vector_platform.indexes.sync.context import Progress
    from vector_platform.indexes.sync.sync import IndexSync
    from vector_platform.lake.snapshots import Snapshot
    from vector_platform.lake.storage.waiting import WaitingLock
    from vector_platform.models.base import Embedder
    from vector_platform.quality.recall.index_queries import IndexQueries
    from vector_platform.releases.evaluation.probes import Probe
    from vector_platform.releases.pointer.live import LivePointer
    from vector_platform.releases.requests.service import ReleaseService
    from vector_platform.serving.embedding import QueryModel
    from vector_platform.serving.keys import Keys
    from vector_platform.serving.searcher import Searcher
    from vector_platform.sources.base import Source

    class SearcherParts(TypedDict):
        """What a deployment makes a `Searcher` of; see there."""

        lake: Lake
        index: str
        backends: Sequence[BackendName]
        open_index: Callable[[BackendName], VectorIndex]
        open_model: Callable[[str], QueryModel]
        attributes: Collection[str]
        count_tokens: Callable[[str], int]


class NotConfigured(TerminalError):
    """Something was asked for that `platform.yaml` does not name."""


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a deployment, with the section of every backend there is.

    Args:
        path: The file. Default: see `settings.read_settings`.
        environ: The environment; `os.environ` when not given.

    Raises:
        SettingsError: Anything in the file or the environment is wrong; all problems at once.
    """
    return read_deployment(path, environ).whole()


def read_deployment(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Reading:
    """A deployment as far as its file can be used, and all that is wrong with the file.

    Raises:
        SettingsError: The file is missing, or no YAML that could be read on.
    """
    return read_settings(settings_model(), path, environ)


def settings_of(raw: Mapping[str, object], *, root: Path, origin: str) -> Settings:
    """The settings of what a `platform.yaml` would hold, and the environment.

    Args:
        raw: The sections.
        root: Folder that relative paths start from.
        origin: What messages call it.

    Raises:
        SettingsError: Anything is wrong; all problems at once.
    """
    return reading_of(raw, settings_model(), root=root, origin=origin).whole()


class Platform:
    """A deployment: its settings and everything they name, opened on first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._embedders: dict[str, Embedder] = {}
        self._targets: dict[str, VectorIndex] = {}
        self._handed_over: dict[str, object] = {}
        # Questions of several threads open a thing once.
        self._opening = threading.RLock()
        # What latencies are read from.
        self.timer: Callable[[], float] = time.perf_counter

    @classmethod
    def load(cls, path: Path | None = None) -> Platform:
        """The deployment of a `platform.yaml` (see `load_settings`)."""
        return cls(load_settings(path))

    def follow_local_versions(self) -> None:
        """Take in the model versions that were made, or retired, since the settings were read."""
        self.settings = with_local_versions(self.settings)

    @property
    def data_dir(self) -> Path:
        """Folder of everything local."""
        return self.settings.data_dir

    @cached_property
    def lake(self) -> Lake:
        """The lake.

        Raises:
            WrongPlace: A file is where its folder should be, or its name cannot be opened.
        """
        if problem := name_problem(self.settings.lake_uri):
            raise WrongPlace(f"the lake cannot be opened: {problem}")
        if Path(self.settings.lake_uri).is_file():
            raise WrongPlace(
                f"the lake should be a folder, but {self.settings.lake_uri} is a file: move it "
                "away, or name another place (lake.uri in platform.yaml)"
            )
        return Lake(self.settings.lake_uri)

    @cached_property
    def chunker(self) -> Chunker:
        """The chunker the settings describe."""
        from vector_platform.corpus.chunking import Chunker

        return Chunker(
            max_tokens=self.settings.chunking.max_tokens,
            overlap_tokens=self.settings.chunking.overlap_tokens,
        )

    def source(self, name: str, *, rows: object = None) -> Source:
        """A source by name.

        Args:
            name: Its name.
            rows: Of kind `frame`: what is handed over, see `sources.frames`. Default: what was
                by `hand_over`.
        """
        from vector_platform.sources.registry import open_source

        if name not in self.settings.sources:
            raise NotConfigured(f"source {name!r} is not in platform.yaml")
        settings = self.settings
        return open_source(
            name,
            settings.sources[name],
            settings.root,
            packages=settings.source_packages,
            rows=self._handed_over.get(name) if rows is None else rows,
        )

    def vector_columns(self, source: str) -> tuple[VectorColumn, ...]:
        """What the rows of a source must bring along: a vector of each version in use."""
        mapped = self.settings.sources[source].fields.vectors
        return tuple(
            VectorColumn(name, mapped[name], model.given.dimensions, model.given.norm)
            for name, model in self.settings.active_models.items()
            if model.given is not None
        )

    def hand_over(self, name: str, rows: object) -> None:
        """Have a source of kind `frame` read these rows from now on, in this process.

        Args:
            name: Its name.
            rows: See `sources.frames`; None for nothing.

        Raises:
            NotConfigured: There is no such source, or it is read elsewhere.
        """
        spec = self.settings.sources.get(name)
        if not isinstance(spec, FrameSource) or spec.asset is not None:
            found = "is not in platform.yaml" if spec is None else f"is of kind {spec.kind}"
            asset = getattr(spec, "asset", None)
            raise NotConfigured(
                f"nothing can be handed over to source {name!r}: it "
                + (f"takes what the asset {asset} returns" if asset else found)
                + "; a source for it has `kind: frame` and no `asset`"
            )
        self._handed_over[name] = rows

    def embedder(self, model_version: str) -> Embedder:
        """A model version's embedder; weights are loaded when it first encodes."""
        from vector_platform.models.given.reproduction import reproduction_problem
        from vector_platform.models.registry import open_model

        if model_version not in self.settings.models:
            known = ", ".join(self.settings.models)
            raise NotConfigured(
                f"model version {model_version!r} is not in platform.yaml ({known})"
            )
        with self._opening:
            if model_version not in self._embedders:
                self._embedders[model_version] = open_model(
                    model_version,
                    self.settings.models[model_version],
                    cache_dir=self.data_dir / "models",
                    root=self.settings.root,
                    open_base=self.embedder,
                    proven=lambda given, model: reproduction_problem(self.lake, given, model),
                )
            return self._embedders[model_version]

    def queries_problem(self, model_version: str) -> str | None:
        """Why no text can be searched for under a version; None when one can.

        Only one whose vectors are given is opened for that.
        """
        spec = self.settings.models.get(model_version)
        if spec is None or spec.given is None:
            return None
        return self.embedder(model_version).queries_problem()

    def weights_of(self, model_version: str) -> Path:
        """The sentence-transformers folder of a model version with weights of its own."""
        from vector_platform.models.identity.origins import find_weights

        return find_weights(
            model_version,
            self.settings.models[model_version],
            cache_dir=self.data_dir / "models",
            root=self.settings.root,
        )

    def target(self, backend: BackendName) -> VectorIndex:
        """A backend, connected."""
        with self._opening:
            if backend not in self._targets:
                from vector_platform.local import services

                self._targets[backend] = open_index(
                    backend,
                    self._section(backend),
                    local=lambda: services.endpoint(self.data_dir, backend),
                )
            return self._targets[backend]

    def index_spec(self, backend: BackendName) -> str:
        """What a backend builds its index with: canonical JSON kept with every generation."""
        return canonical_json(self._section(backend).spec())

    def index_sync(
        self, backend: BackendName, *, run_id: str, progress: Progress = lambda line: None
    ) -> IndexSync:
        """The sync of one backend."""
        from vector_platform.indexes.sync.context import SyncContext
        from vector_platform.indexes.sync.sync import IndexSync

        section = self._section(backend)
        return IndexSync(
            SyncContext(
                self.lake,
                self.target(backend),
                index=self.settings.indexes.name,
                spec=self.index_spec(backend),
                max_delete_share=self.settings.guard.max_delete_share,
                full_proof_hours=self.settings.guard.full_proof_hours,
                verify_fetch_share=section.proof_share,
                batch_rows=section.batch_rows,
                lock_dir=self.data_dir / "locks",
                wait_seconds=self.settings.guard.wait_seconds,
                run_id=run_id,
                progress=progress,
            )
        )

    def writing(
        self, what: str, *, run_id: str, progress: Progress = lambda line: None
    ) -> WaitingLock:
        """The right to write a part of the lake, such as `raw/notes`, on this machine."""
        from vector_platform.lake.storage.waiting import WaitingLock

        path = self.data_dir / "locks" / f"{what.replace('/', '-')}.lock"
        wait_seconds = self.settings.guard.wait_seconds
        return WaitingLock(path, what, run_id=run_id, wait_seconds=wait_seconds, progress=progress)

    def live_pointer(self, backend: BackendName) -> LivePointer:
        """The live pointer of one backend."""
        from vector_platform.releases.pointer.live import LivePointer

        return LivePointer(
            self.lake,
            backend,
            self.settings.indexes.name,
            keep_generations=self.settings.releases.keep_generations,
            keep_days=self.settings.releases.keep_days,
        )

    def release_service(
        self, backend: BackendName, *, run_id: str, progress: Progress = lambda line: None
    ) -> ReleaseService:
        """Where releases of one backend are asked for and decided."""
        from vector_platform.releases.evaluation.context import ReleaseContext
        from vector_platform.releases.requests.service import ReleaseService

        context = ReleaseContext(
            self.lake,
            self.live_pointer(backend),
            self.target(backend),
            self.index_sync(backend, run_id=run_id, progress=progress),
            index=self.settings.indexes.name,
            policy=self.settings.releases,
            metric=self.settings.quality.evaluation_metric,
            recall_floor=self.settings.quality.recall_floor,
            recall_queries=self.recall_queries,
            probes=self.probes,
            run_id=run_id,
            timer=self.timer,
        )
        return ReleaseService(context)

    def recall_queries(self, state: GenerationState, snapshot: Snapshot) -> IndexQueries:
        """The queries that the recall of a generation is measured with."""
        from vector_platform.quality.recall.index_queries import index_queries

        name = state.model_version
        return index_queries(
            self.lake,
            state.model_version,
            snapshot,
            built_at=state.created_at,
            encode=None
            if self.queries_problem(name)
            else lambda texts: self.embedder(name).encode_queries(texts),
        )

    def probes(self, model_version: str) -> list[Probe]:
        """The queries that a release is tried with, under a model version.

        Two models are asked the same: texts, unless there is one that embeds none.
        """
        from vector_platform.releases.evaluation.probes import probes_of

        by_text = not any(map(self.queries_problem, self.settings.models))
        return probes_of(self.lake, model_version, self.embedder if by_text else None)

    @property
    def attribute_names(self) -> frozenset[str]:
        """Attributes that a row can have: what filters may ask for."""
        sources = self.settings.sources.values()
        return frozenset(name for source in sources for name in source.fields.attributes)

    @cached_property
    def keys(self) -> Keys:
        """Keys of the service's callers."""
        from vector_platform.serving.keys import Keys

        return Keys(self.data_dir / "serving" / "keys.json")

    @cached_property
    def searcher(self) -> Searcher:
        """Answers from the live generations."""
        from vector_platform.serving.searcher import Searcher

        return Searcher(**self.searched_with())

    def searched_with(self) -> SearcherParts:
        """What a searcher of this deployment works with."""

        def open_model(name: str) -> Embedder:
            if name not in self.settings.models:  # made since the settings were read
                self.follow_local_versions()
            return self.embedder(name)

        return {
            "lake": self.lake,
            "index": self.settings.indexes.name,
            "backends": list(self.settings.indexes.backends),
            "open_index": self.target,
            "open_model": open_model,
            "attributes": self.attribute_names,
            "count_tokens": lambda text: self.chunker.tokens(text),
        }

    def close(self) -> None:
        """Close what was opened."""
        if "searcher" in self.__dict__:
            self.__dict__.pop("searcher").close()
        for target in self._targets.values():
            target.close()
        self._targets.clear()

    def _section(self, backend: BackendName) -> BackendSection:
        section = self.settings.indexes.section(backend)
        if section is None:
            raise NotConfigured(f"indexes.{backend} is not in platform.yaml")
        return section
