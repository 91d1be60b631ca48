"""A deployment in a notebook or a script: search it, land frames, bring it up to date.

Belongs here: what `from vector_platform import ...` gives: `Platform`, the working objects of
`wiring.py` and the verbs that the command line has, as methods that return values; and `Searcher`,
search alone, opened by a file.

Does not belong here: how anything is done. Whatever writes is a Dagster run, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vector_platform import wiring
from vector_platform.indexes.contract import Scope
from vector_platform.serving import searcher as serving
from vector_platform.wiring import load_settings

if TYPE_CHECKING:
    import pandas as pd

    from vector_platform.orchestration.converge import StageResult
    from vector_platform.orchestration.launch import Runs
    from vector_platform.settings import Settings

# Of a hit, as a person reads them.
HIT_COLUMNS = (
    "score", "title", "text", "tenant", "doc_id", "attributes", "region", "id", "digest"
)  # fmt: skip


class Searcher(serving.Searcher):
    """Search of a deployment, for callers whose tenants are known.

    Example:
        >>> searcher = Searcher("mine/platform.yaml")
        >>> searcher.search("the brake lever feels spongy", scope=Scope.of("acme")).hits

    Args:
        config: See `Platform`.

    Raises:
        SettingsError: Something is wrong with the file; all problems at once.
    """

    def __init__(self, config: Path | str | Settings | None = None) -> None:
        self._platform = wiring.Platform(_settings(config))
        super().__init__(**self._platform.searched_with())

    def close(self) -> None:
        """Stop looking at the lake, and close the connections."""
        super().close()
        self._platform.close()


class Platform(wiring.Platform):
    """A deployment, opened by its `platform.yaml`.

    Example:
        >>> platform = Platform("mine/platform.yaml")
        >>> platform.search("the brake lever feels spongy")

    Args:
        config: Its `platform.yaml`, or its settings. Default: the environment variable
            `VECTOR_PLATFORM_CONFIG`, else the file in the working directory.
        say: What is told of progress; `print` by default.

    Raises:
        SettingsError: Something is wrong with the file; all problems at once.
    """

    def __init__(
        self,
        config: Path | str | Settings | None = None,
        *,
        say: Callable[[str], object] = print,
    ) -> None:
        super().__init__(_settings(config))
        self._say = say

    def search(
        self,
        text: str | None = None,
        *,
        vector: Sequence[float] | None = None,
        k: int = 10,
        tenant: str | None = None,
        backend: str | None = None,
    ) -> pd.DataFrame:
        """The chunks most similar to a text, or to a vector, best first.

        Args:
            text: A text; exactly one of these two is given.
            vector: A vector of the live model version, of any length above zero.
            k: How many, 1 to 1000.
            tenant: Whose rows, exactly as the tenant is named; None for all, as an operator sees
                them. `Searcher` is for callers that are not.
            backend: Which backend answers; the first of the file when not given.

        Returns:
            A row a hit: `score`, `doc_id`, `tenant`, `text` and the other fields of a hit. What
            answered is in `attrs`: backend, generation, model version, snapshot, seconds.

        Raises:
            BadQuery: The text is empty, k is out of range, or nobody can be called like the tenant.
            NothingLive: Nothing serves yet: call `run`.
        """
        import pandas as pd

        scope = Scope.all_tenants() if tenant is None else Scope.of(tenant)
        self.searcher.live.refresh()  # a person expects to see what they have just done
        result = self.searcher.search(text, vector=vector, scope=scope, k=k, backend=backend)
        found = pd.DataFrame([vars(hit) for hit in result.hits], columns=list(HIT_COLUMNS))
        said = result.as_json()
        found.attrs = {name: value for name, value in said.items() if name != "hits"}
        if result.notice:
            self._say(result.notice)
        return found

    def land(self, source: str, rows: object, *, day: date | None = None) -> dict[str, Any]:
        """Land a frame as the rows of a source of kind `frame`, by a Dagster run.

        Without `fields.time` the frame is the whole source: rows that it does not have any more are
        removed. Only what differs is written, so landing it again changes nothing.

        Args:
            source: Name of the source.
            rows: A frame of pandas or Polars, a table of Arrow, or a list of dicts.
            day: Partition; today (UTC) when not given.

        Returns:
            What became of the rows: `rows_read`, `inserted`, `changed`, `removed`, `rejected`.

        Raises:
            NotConfigured: There is no such source, or it is of another kind.
            RunFailed: The run failed.
        """
        from vector_platform.orchestration import keys

        self.hand_over(source, rows)
        try:
            done = self._runs.materialize(
                [keys.raw(source)], partition=(day or _today()).isoformat()
            )
        finally:
            self.hand_over(source, None)
        return dict(done.metadata[f"raw/{source}"])

    def run(self, *, day: date | None = None) -> list[StageResult]:
        """Bring everything up to date: read the sources, then whatever has something to do.

        Embedded servers that are not running are started first.

        Args:
            day: Partition to land; today (UTC) when not given.

        Returns:
            What became of each stage; each is told as it ends.

        Raises:
            RunFailed: A stage failed; those before it have done their work.
        """
        from vector_platform.orchestration.converge import converge

        self.start_servers()
        stages = []
        for stage in converge(self._runs, day or _today()):
            self._say(f"{stage.name}: {stage.summary}")
            stages.append(stage)
        return stages

    def start_servers(self) -> Sequence[str]:
        """Start the embedded servers that the settings name and that do not run. Says which run."""
        from vector_platform.local import services

        wanted = self.settings.embedded_backends
        local = [name for name in services.SERVICE_NAMES if name in wanted]
        return [one.name for one in services.up(self.data_dir, names=local)] if local else []

    @cached_property
    def _runs(self) -> Runs:
        from vector_platform.orchestration.launch import Runs

        return Runs(self)


def _settings(config: Path | str | Settings | None) -> Settings:
    if config is None or isinstance(config, (str, Path)):
        return load_settings(None if config is None else Path(config))
    return config


def _today() -> date:
    return datetime.now(UTC).date()
