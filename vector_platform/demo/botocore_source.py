"""The demo's source: the AWS API reference inside the installed botocore package.

Belongs here: reading botocore's service models as one document an operation. Nothing is
downloaded, and the package version decides every byte, so all machines see the same corpus;
another version of botocore is a change feed.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from vector_platform.sources.base import DayWindow, GoldenQuery, Source, SourceInvalid, SourceRow
from vector_platform.sources.files.markup import html_to_text

# "Creates an application." cannot be told from its siblings: operations that say less than this
# are no documents, and their examples no queries. With 8, the 30 services of `platform.yaml`
# (those with 12 queries or more) give 2,635 operations and 1,209 queries in botocore 1.44.5.
MIN_DOCUMENT_WORDS = 8
# What is left of an example after its operation's name is masked must still ask for something.
MIN_QUERY_WORDS = 3

_CAMEL_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


@dataclass(frozen=True)
class _Service:
    """The newest API version of one service, as parsed JSON."""

    name: str
    folder: Traversable

    @property
    def uri(self) -> str:
        return f"botocore/data/{self.name}/{self.folder.name}/service-2.json.gz"

    @cached_property
    def model(self) -> dict[str, Any]:
        return _read_json(self.folder, "service-2.json")

    @cached_property
    def texts(self) -> dict[str, str]:
        """Operation -> text, for the operations that say enough to be found."""
        texts = {
            name: html_to_text(operation.get("documentation", ""))
            for name, operation in sorted(self.model["operations"].items())
        }
        return {
            name: text for name, text in texts.items() if len(text.split()) >= MIN_DOCUMENT_WORDS
        }

    def key(self, name: str) -> str:
        return f"{self.name}.{name}"


class BotocoreReference(Source):
    """AWS operations as documents, with attributes, relations and golden queries.

    Args:
        services: Names of services as botocore spells them, e.g. `ec2`.
    """

    def __init__(self, services: list[str]) -> None:
        self._names = services

    def read(self, window: DayWindow) -> Iterator[SourceRow]:
        """One row an operation; see `_row` for the columns.

        Raises:
            SourceInvalid: botocore is not installed, or has no such service.
        """
        for service in self._services():
            polls: dict[str, list[str]] = {}
            for waiter, details in _read_json(service.folder, "waiters-2.json", "waiters").items():
                polls.setdefault(details["operation"], []).append(service.key(waiter))
            operations = service.model["operations"]
            mention = _any_word_of(service.texts)
            for name, text in service.texts.items():
                values = _row(service, operations[name], text)
                named = set(mention.findall(text)) - {name}
                values["mentions"] = sorted(service.key(other) for other in named)
                values["polls"] = sorted(polls.get(name, []))
                yield SourceRow(values, f"{service.uri}#{name}", service.uri)

    def golden_queries(self) -> Iterator[GoldenQuery]:
        """The human-written examples: title and description, the operation's name masked out.

        Examples of one service that read the same once masked are one query with several
        relevant operations.
        """
        for service in self._services():
            relevant: dict[str, list[str]] = {}
            for name, examples in sorted(
                _read_json(service.folder, "examples-1.json", "examples").items()
            ):
                for example in examples if name in service.texts else ():
                    text = masked(
                        f"{example.get('title', '')} {example.get('description', '')}", name
                    )
                    if len(text.split()) >= MIN_QUERY_WORDS:
                        relevant.setdefault(text, []).append(service.key(name))
            for number, (text, keys) in enumerate(relevant.items(), start=1):
                yield GoldenQuery(
                    query_id=f"{service.name}-{number:03d}",
                    text=text,
                    relevant=dict.fromkeys(keys, 1),
                    tenant=service.name,
                )

    def _services(self) -> Iterator[_Service]:
        try:
            data = files("botocore") / "data"
        except ModuleNotFoundError:
            raise SourceInvalid(
                self.name,
                "the package botocore is not installed; install the demo extra: "
                "pip install 'vector-platform[demo]'",
            ) from None
        known = {folder.name: folder for folder in data.iterdir() if folder.is_dir()}
        unknown = sorted(set(self._names) - set(known))
        if unknown:
            raise SourceInvalid(
                self.name, f"botocore has no service {', '.join(unknown)} (options.services)"
            )
        for name in sorted(set(self._names)):
            versions = [
                folder
                for folder in known[name].iterdir()
                if folder.is_dir() and _read_bytes(folder, "service-2.json") is not None
            ]
            yield _Service(name, max(versions, key=lambda folder: folder.name))


def split_camel_case(name: str) -> list[str]:
    """`DescribeDBInstances` -> `Describe`, `DB`, `Instances`."""
    return _CAMEL_WORDS.findall(name)


def masked(text: str, operation: str) -> str:
    """A query text without its answer: the operation's name, joined or as separate words."""
    spaced = r"[\W_]*".join(map(re.escape, split_camel_case(operation)))
    for name in (re.escape(operation), spaced):
        text = re.sub(name, " ", text, flags=re.IGNORECASE)
    return " ".join(html_to_text(text).split())


def _row(service: _Service, operation: dict[str, Any], text: str) -> dict[str, Any]:
    shapes = service.model["shapes"]
    metadata = service.model["metadata"]
    wanted = operation.get("input", {}).get("shape")
    given = operation.get("output", {}).get("shape")
    errors = sorted({error["shape"] for error in operation.get("errors", [])})
    name = operation["name"]
    return {
        "key": service.key(name),
        "service": service.name,
        # The name as it is written in code and as words. nDCG@10 with both, the first only, the
        # second only: MiniLM .756, .727, .744; wordllama .683, .637, .639.
        "title": f"{service.name} {name}: {' '.join(split_camel_case(name)).lower()}",
        "text": text,
        "protocol": metadata["protocol"],
        "http_method": operation["http"]["method"],
        "deprecated": bool(operation.get("deprecated", False)),
        "required": sorted(shapes[wanted].get("required", [])) if wanted else [],
        "errors": errors,
        "api_version": metadata["apiVersion"],
        "raises": [service.key(error) for error in errors],
        "input": service.key(wanted) if wanted else None,
        "output": service.key(given) if given else None,
    }


def _any_word_of(names: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")


def _read_bytes(folder: Traversable, name: str) -> bytes | None:
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        return plain.read_bytes()
    return gzip.decompress(packed.read_bytes()) if packed.is_file() else None


def _read_json(folder: Traversable, name: str, section: str | None = None) -> dict[str, Any]:
    content = _read_bytes(folder, name)
    value: dict[str, Any] = json.loads(content) if content is not None else {}
    return value.get(section, {}) if section else value
