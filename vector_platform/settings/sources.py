"""`sources` and `golden_queries`: where documents come from, and which queries are judged.

Belongs here: what a person says of a source.
"""

from __future__ import annotations

import codecs
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from vector_platform.settings.base import AttributeName, ModelVersion, Section, SourceName

_NAME = r"[A-Za-z_]\w*"
_CLASS = rf"^{_NAME}(\.{_NAME})*:{_NAME}$"
PackageName = Annotated[str, StringConstraints(pattern=rf"^{_NAME}(\.{_NAME})*$")]


# Codecs of Python that no file of text is written in.
_NO_ENCODINGS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}


def text_codec(label: str) -> str | None:
    """Python's name of a text encoding; None for what is none, or none that files have."""
    try:
        found = codecs.lookup(label)
    except (LookupError, ValueError, UnicodeError):
        return None
    return found.name if found._is_text_encoding and found.name not in _NO_ENCODINGS else None


def _is_encoding(label: str) -> str:
    if text_codec(label) is None:
        raise ValueError(f"{label!r} is no text encoding; for example utf-8, windows-1252, utf-16")
    return label


Encoding = Annotated[str, AfterValidator(_is_encoding)]


class Constant(Section):
    """A field of every row of a source that is the same value."""

    value: str


class AttributeColumn(Section):
    """A column that is kept as text, because its values do not fit an attribute as they are."""

    column: str
    as_: Literal["string"] = Field(alias="as")


class FieldMapping(Section):
    """Which column of a source holds which field of a document.

    A plain string names a column; `{value: x}` is the same constant for every row. Columns of
    `files` sources that hold one document a file: `path` (key), `title`, `text`, `modified`.
    """

    key: str
    text: str | None = Field(
        default=None,
        description="Needed unless `vectors` are mapped: there a document without a text has its "
        "id for one.",
    )
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
    attributes: dict[AttributeName, str | AttributeColumn] = {}
    relations: dict[AttributeName, str] = Field(
        default={},
        description="Predicate -> column holding one key or a list of keys of related documents.",
    )
    vectors: dict[ModelVersion, str] = Field(
        default={},
        description="Model version with `given` -> column that holds a row's vector under it. "
        "Documents of the source are then not cut: each is one chunk.",
    )

    @model_validator(mode="after")
    def _has_something_to_embed(self) -> FieldMapping:
        if self.text is None and not self.vectors:
            raise ValueError("text is missing: name the column that is embedded")
        return self

    @property
    def columns(self) -> set[str]:
        """All columns that are mapped."""
        named = (self.key, self.text, self.title, self.tenant, self.region, self.time, self.deleted)
        single = {column for column in named if isinstance(column, str)}
        return {
            *single,
            *self.attribute_columns.values(),
            *self.relations.values(),
            *self.vectors.values(),
        }

    @property
    def telling_columns(self) -> tuple[str, ...]:
        """Columns that every table of the source has; by them its dialect is told."""
        return (self.key, *([self.text] if self.text else self.vectors.values()))

    @property
    def attribute_columns(self) -> dict[str, str]:
        """Attribute -> the column that holds it."""
        return {
            name: given if isinstance(given, str) else given.column
            for name, given in self.attributes.items()
        }

    @property
    def text_columns(self) -> set[str]:
        """Columns that land as text, whatever they hold."""
        return {one.column for one in self.attributes.values() if not isinstance(one, str)}

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
        default=200,
        ge=2,
        description="Times its size that it, or a text column of a Parquet file, unpacks to, from "
        "16 MiB on.",
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


class CsvDialect(Section):
    """How the CSV and TSV files of a source are written. What is not said is told by the file.

    A `.tsv` has tabs and no quoting; a `.csv` has commas, or the other delimiter under which its
    header holds the mapped columns, and quotes. What a header tells is shown with the landing.
    """

    delimiter: Annotated[str, StringConstraints(pattern=r"^[^\"\r\n\x00]$")] | None = Field(
        default=None, description="One character between cells."
    )
    quoting: Literal["double", "none"] | None = Field(
        default=None,
        description="`double`: a cell in double quotes may hold anything. `none`: quotes are text.",
    )
    encoding: Encoding | None = Field(
        default=None, description="Of these files, where it differs from the source's `encoding`."
    )
    header: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Names of the columns, for files that do not begin with them.",
    )

    @field_validator("header")
    @classmethod
    def _names_are_distinct(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and len(set(names)) < len(names):
            raise ValueError("names a column twice")
        return names


class FilesSource(_Source):
    """Files on a local path, a glob, or any fsspec URL."""

    kind: Literal["files"]
    path: str
    format: Literal["auto", "csv", "jsonl", "parquet", "document"] = "auto"
    encoding: Encoding | None = Field(
        default=None,
        description="Of text that has no byte order mark. Else what a page declares, else UTF-8.",
    )
    csv: CsvDialect = CsvDialect()
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


class FrameSource(_Source):
    """Rows that Python hands over: what an asset of yours returns, or a frame of a notebook."""

    kind: Literal["frame"]
    asset: str | None = Field(
        default=None,
        min_length=1,
        description="Key of your asset, its parts separated by `/`. Each time it is materialised, "
        "what it returns lands. Without it, frames are landed by `Platform.land`.",
    )


SourceSettings = Annotated[
    FilesSource | SqlSource | PythonSource | FrameSource, Field(discriminator="kind")
]


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
