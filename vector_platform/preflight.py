"""The look before a run: everything that would make it fail late, told at once in seconds.

Belongs here: the one list of looks, what each room contributes to it, and how long one that asks
another machine may take. What is wrong in a room is known in that room.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from vector_platform.errors import TerminalError, TransientError, VectorPlatformError
from vector_platform.faults import explained, first_line
from vector_platform.problems import Problem
from vector_platform.settings import Reading, SettingsError
from vector_platform.wiring import Platform

# Whoever has not answered by then is not reachable as far as a run is concerned.
PATIENCE_SECONDS = 30.0
# A run writes logs, scratch files and commits even where there is nothing to land.
LEAST_FREE_BYTES = 256 * 2**20
# Raw rows, documents and chunks hold the text, and a rewrite keeps the old beside the new.
_COPIES_OF_TEXT = 4
# Of text, in Latin scripts; others take more tokens, so fewer bytes.
_BYTES_A_TOKEN = 4
_BYTES_A_NUMBER = 4
# Where a model is not on this machine.
_USUAL_DIMENSION = 768

Part = tuple[str, ...]
Check = Callable[[], Iterable[Problem]]


@dataclass
class Preflight:
    """What was found.

    Attributes:
        problems: In the order of the file.
        sizes: Source -> bytes to read, of those that have not landed yet and say it.
        dimensions: Model version -> length of its vectors, where known.
    """

    problems: list[Problem] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    dimensions: dict[str, int] = field(default_factory=dict)

    def broken_sources(self) -> set[str]:
        """Sources that cannot be read as they are."""
        return {one.part[1] for one in self.problems if _is_of_a_source(one)}

    def stopping(self) -> list[Problem]:
        """What concerns more than one source, so that nothing can be brought up to date."""
        return [one for one in self.problems if not _is_of_a_source(one)]


def _is_of_a_source(problem: Problem) -> bool:
    return problem.part[:1] == ("sources",) and len(problem.part) > 1


def look(reading: Reading, *, connect: bool = True) -> Preflight:
    """Look at a whole deployment, as far as its file can be used.

    Args:
        reading: The file (`wiring.read_deployment`), with problems or without.
        connect: Whether other machines are asked: databases, stores, hubs and servers.
    """
    found = Preflight(list(reading.problems))
    if reading.settings is not None:
        checks = _Checks(Platform(reading.settings), found, reading.taken_out, connect=connect)
        found.problems += checks.run(lambda part: True)
        order = [*type(reading.settings).model_fields]
        found.problems.sort(
            key=lambda one: [order.index(top) for top in one.part[:1] if top in order]
        )
    return found


def look_at_parts(platform: Platform, wanted: Callable[[Part], bool]) -> Preflight:
    """Look at some parts of a deployment: `("models", name)`, `("indexes", backend)` and so on.

    Nobody starts an embedded server for the run that asks, so one that is away is a problem.
    """
    found = Preflight()
    checks = _Checks(platform, found, frozenset(), connect=True, starts_servers=False)
    found.problems += checks.run(wanted)
    return found


class WouldFail(TerminalError):
    """A run would fail as things are. Lists every problem with its place."""

    def __init__(self, what: str, problems: Sequence[Problem]) -> None:
        listed = "\n".join(f"  - {one}" for one in problems)
        super().__init__(f"{what}: {len(problems)} problem(s)\n{listed}")


class _Checks:
    def __init__(
        self,
        platform: Platform,
        found: Preflight,
        taken_out: frozenset[Part],
        *,
        connect: bool,
        starts_servers: bool = True,
    ) -> None:
        self._platform, self._settings = platform, platform.settings
        self._found, self._connect = found, connect
        self._taken_out, self._starts_servers = taken_out, starts_servers

    def run(self, wanted: Callable[[Part], bool]) -> list[Problem]:
        """Run the checks of the wanted parts, those that ask others side by side."""
        asking = [_Asking(part, check) for part, check in self._asking() if wanted(part)]
        deadline = time.monotonic() + PATIENCE_SECONDS
        for one in asking:
            one.start()
        told = [
            problem
            for part, check in self._here()
            if wanted(part)
            for problem in _told(part, check)
        ]
        for one in asking:
            told += one.answer(deadline)
        if wanted(("data",)):
            told += _told(("data",), self._disk)
        order = list(type(self._settings).model_fields)
        return sorted(
            told, key=lambda one: order.index(one.part[0]) if one.part[0] in order else -1
        )

    def _asking(self) -> Iterator[tuple[Part, Check]]:
        """Looks that may ask another machine, or take as long as a person's own code does."""
        settings = self._settings
        for name in settings.sources:
            yield ("sources", name), partial(self._source, name)
        for name in settings.active_models:
            if settings.asks_others(name):
                yield ("models", name), partial(self._model, name)
        if self._connect and "://" in settings.lake_uri:
            yield ("lake",), self._store
        for name in settings.indexes.backends:
            if self._connect:
                yield ("indexes", name), partial(self._server, name)

    def _here(self) -> Iterator[tuple[Part, Check]]:
        from vector_platform.lake.preflight import folder_problems, lake_problems

        settings = self._settings
        yield ("data",), partial(folder_problems, ("data",), settings.data_dir)
        if "://" not in settings.lake_uri:
            yield ("lake",), partial(lake_problems, settings.lake_uri)
        for name in settings.active_models:
            if not settings.asks_others(name):
                yield ("models", name), partial(self._model, name)
        yield ("chunking",), self._tokenizer
        for name in settings.golden_queries:
            yield ("golden_queries", name), partial(self._golden, name)
        yield ("retraining",), self._feedback
        for name in settings.indexes.backends:
            yield ("indexes", name), partial(self._backend, name)

    # -- what each room says ----------------------------------------------------------------

    def _source(self, name: str) -> list[Problem]:
        from vector_platform.sources.preflight import look_at_source

        settings = self._settings
        look, problems = look_at_source(
            name,
            settings.sources[name],
            settings.root,
            packages=settings.source_packages,
            connect=self._connect,
        )
        if look.size_bytes is not None and not self._platform.lake.raw(name).exists():
            self._found.sizes[name] = look.size_bytes
        guessed = any(part[:3] == ("sources", name, "fields") for part in self._taken_out)
        return [one for one in problems if not (guessed and one.part[2:3] == ("fields",))]

    def _model(self, name: str) -> list[Problem]:
        from vector_platform.models.preflight import look_at_model

        if any(part[:2] == ("models", name) for part in self._taken_out):
            return []
        dimension, problems = look_at_model(
            name,
            self._settings.models,
            cache_dir=self._platform.data_dir / "models",
            root=self._settings.root,
            connect=self._connect,
        )
        if dimension is not None:
            self._found.dimensions[name] = dimension
        return problems

    def _tokenizer(self) -> Iterator[Problem]:
        from vector_platform.corpus.chunking import TOKENIZER

        line = TOKENIZER.missing("cutting documents")
        if line is not None:
            yield Problem(("chunking",), line)

    def _golden(self, name: str) -> Iterable[Problem]:
        from vector_platform.sources.preflight import golden_problems

        return golden_problems(name, self._settings.golden_queries[name], self._settings.root)

    def _feedback(self) -> Iterator[Problem]:
        feedback = self._settings.retraining.feedback
        if feedback is not None and not (self._settings.root / feedback).is_file():
            yield Problem(("retraining", "feedback"), f"there is no file {feedback}")

    def _backend(self, name: str) -> Iterable[Problem]:
        from vector_platform.indexes.registry import problems_at_rest

        section = self._settings.indexes.section(name)
        return problems_at_rest(name, section) if section is not None else ()

    def _server(self, name: str) -> Iterator[Problem]:
        """Ask a server for what it holds of ours: it must answer, and take the credentials."""
        from vector_platform.local import services

        section = self._settings.indexes.section(name)
        if section is None or list(self._backend(name)):
            return
        embedded = section.is_embedded and self._starts_servers
        if embedded and not services.is_running(self._platform.data_dir, name):
            return
        self._platform.target(name).claims(self._settings.indexes.name)
        yield from ()

    def _store(self) -> Iterable[Problem]:
        """Ask the store whether a table is there: with no right to it, it does not say so."""
        self._platform.lake.chunks.exists()
        return ()

    def _disk(self) -> Iterator[Problem]:
        """Whether what is to land, its vectors and embedded indexes fit on the disk."""
        from vector_platform.lake.preflight import nearest_folder

        settings, text = self._settings, sum(self._found.sizes.values())
        chunks = text / (_BYTES_A_TOKEN * settings.chunking.max_tokens)
        numbers = sum(
            self._found.dimensions.get(name, _USUAL_DIMENSION) for name in settings.active_models
        )
        embedded = len(settings.embedded_backends)
        # The lake holds a vector once, and an embedded index it and its graph.
        needed = text * _COPIES_OF_TEXT + chunks * numbers * _BYTES_A_NUMBER * (1 + 2 * embedded)
        folder = nearest_folder(settings.data_dir)
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE_BYTES + needed:
            yield Problem(
                ("data",),
                f"{folder} has {free / 2**20:,.0f} MiB free; {text / 2**20:,.0f} MiB of sources "
                f"take about {(LEAST_FREE_BYTES + needed) / 2**20:,.0f} MiB with vectors and "
                "indexes",
            )


class _Asking:
    """A check in a thread of its own, which nobody waits for longer than is reasonable."""

    def __init__(self, part: Part, check: Check) -> None:
        self._part = part
        self._told: list[Problem] | None = None
        self._thread = threading.Thread(target=self._ask, args=(check,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def answer(self, deadline: float) -> list[Problem]:
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._told is None:
            what = f"no answer within {PATIENCE_SECONDS:.0f} s"
            return [Problem(self._part, what, passing=True)]
        return self._told

    def _ask(self, check: Check) -> None:
        self._told = _told(self._part, check)


def _told(part: Part, check: Check) -> list[Problem]:
    """What a check finds; that it fails is a problem too."""
    try:
        return list(check())
    except SettingsError as error:
        return [Problem(part, problem) for problem in error.problems]
    except VectorPlatformError as error:
        return [Problem(part, str(error), isinstance(error, TransientError))]
    except Exception as error:
        # A client library's, or a person's own class: named here, where it stops only a look.
        known = explained(error)
        what = str(known) if known else f"{type(error).__name__}: {first_line(error, 'failed')}"
        return [Problem(part, what, isinstance(known, TransientError))]
