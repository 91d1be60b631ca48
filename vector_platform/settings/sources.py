"""`sources` and `golden_queries`: where documents come from, and which queries are judged.

Belongs here: what a person says of a source.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from vector_platform.settings.base import AttributeName, Section, SourceName

_NAME = r"[A-Za-z_]\w*"
_CLASS = rf"^{_NAME}(\.{_NAME})*:{_NAME}$"
PackageName = Annotated[str, StringConstraints(pattern=rf"^{_NAME}(\.{_NAME})*$")]


class Constant(Section):
    """A field of every row of a source that is the same value."""

    value: str


class FieldMapping(Section):
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


class ReadLimits(Section):
    """How much of one file or row is read before it is refused as a reject; the rest lands."""

    file_mib: int = Field(default=4096, ge=1, description="MiB of a file as it is stored.")
    unpacked_mib: int = Field(
        default=16384, ge=1, description="MiB that a compressed file or a DOCX unpacks to."
    )
    unpacked_ratio: int = Field(
        default=200, ge=2, description="Times its size that it unpacks to, from 16 MiB on."
    )
    document_characters: int = Field(
        default=10_000_000,
        ge=1000,
        description="Characters of a document. A record of a table may have four times as many.",
    )
    conversion_seconds: int = Field(
        default=120, ge=1, description="Seconds that one PDF or DOCX may take."
    )
    conversion_mib: int = Field(
        default=2048, ge=64, description="MiB of memory that one PDF or DOCX may take."
    )


class _Source(Section):
    fields: FieldMapping
    limits: ReadLimits = ReadLimits()
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
    """Rows of a class `package.module:Class` that subclasses `sources.base.Source`.

    Its module lies beside `platform.yaml`, or in a package that `source_packages` names.
    """

    kind: Literal["python"]
    path: Annotated[str, StringConstraints(pattern=_CLASS)] = Field(alias="class")
    options: dict[str, Any] = {}


SourceSettings = Annotated[FilesSource | SqlSource | PythonSource, Field(discriminator="kind")]


class GoldenQueries(Section):
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
