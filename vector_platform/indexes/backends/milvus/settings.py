"""`indexes.milvus`: what a person says of Milvus.

Belongs here: its settings, each marked with whether it makes another index, and the parameters
that each type of index takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from vector_platform.problems import nearest
from vector_platform.settings import STORED, TUNING, BackendSection

IndexType = Literal["AUTOINDEX", "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"]


@dataclass(frozen=True)
class Parameter:
    """A parameter of an index type.

    Attributes:
        default: What it is when nobody says anything; None leaves it to Milvus.
        least: The smallest value that Milvus takes.
        most: The largest.
    """

    default: int | None
    least: int
    most: int


_ANY: Final = 2**31 - 1
_USUAL_CELLS: Final = 128
_CELLS: Final = {"nlist": Parameter(_USUAL_CELLS, 1, 65_536)}
_OPENED: Final = {"nprobe": Parameter(32, 1, 65_536)}
# Graph and cell sizes that reach .95 recall@10 on sentence vectors of 256 to 1,024 dimensions.
BUILD: Final[dict[str, Mapping[str, Parameter]]] = {
    "AUTOINDEX": {},
    "FLAT": {},
    "HNSW": {"M": Parameter(16, 2, 2048), "efConstruction": Parameter(200, 1, _ANY)},
    "IVF_FLAT": _CELLS,
    "IVF_SQ8": _CELLS,
}
# A filter by tenant throws away rows that the graph visits: with `ef` 64, searches confined to a
# third of 3,862 advisories lost .0074 nDCG@10 against exact search, with 256 .0019, and took
# 3.1 and 3.5 ms.
SEARCH: Final[dict[str, Mapping[str, Parameter]]] = {
    "AUTOINDEX": {"level": Parameter(None, 1, 10)},
    "FLAT": {},
    "HNSW": {"ef": Parameter(256, 1, _ANY)},
    "IVF_FLAT": _OPENED,
    "IVF_SQ8": _OPENED,
}


class MilvusSettings(BackendSection):
    """Where Milvus is and how its collections are built."""

    uri: Annotated[str, TUNING] = Field(
        default="local", description="`local`: the embedded Milvus Lite server."
    )
    database: Annotated[str, STORED] = "default"
    index_type: Annotated[IndexType, STORED] = "HNSW"
    index_params: Annotated[dict[str, int], STORED] = {}
    search_params: Annotated[dict[str, int], TUNING] = {}
    partitions: Annotated[int, STORED] = Field(
        default=16, ge=1, le=1024, description="Partitions of the tenant key."
    )
    batch_rows: Annotated[int, TUNING] = Field(default=1000, ge=1, le=10000)
    max_parallel_requests: Annotated[int, TUNING] = Field(default=2, ge=1, le=32)

    @field_validator("index_params")
    @classmethod
    def _built_with(cls, value: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        return _of_type(value, BUILD, info.data.get("index_type"))

    @field_validator("search_params")
    @classmethod
    def _searched_with(cls, value: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        _of_type(value, SEARCH, info.data.get("index_type"))
        cells = (info.data.get("index_params") or {}).get("nlist", _USUAL_CELLS)
        if "nprobe" in value and value["nprobe"] > cells:
            raise ValueError(f"nprobe is {value['nprobe']}, but the index has nlist {cells} cells")
        return value

    @property
    def is_embedded(self) -> bool:
        """See `uri`."""
        return self.uri == "local"


def _of_type(
    value: dict[str, int], known: Mapping[str, Mapping[str, Parameter]], index_type: str | None
) -> dict[str, int]:
    """The same parameters.

    Raises:
        ValueError: The type of index has none of such a name, or takes no such value; all of them.
    """
    if index_type is None:  # is refused itself
        return value
    takes = known[index_type]
    problems = []
    for name, number in value.items():
        if name not in takes:
            all_of_them = ", ".join(takes) or "none"
            problems.append(
                f"{name!r} is no parameter of {index_type}{nearest(name, takes)} (it takes "
                f"{all_of_them})"
            )
        elif not takes[name].least <= number <= takes[name].most:
            problems.append(
                f"{name} is {number}, not from {takes[name].least} to {takes[name].most}"
            )
    if problems:
        raise ValueError("; ".join(problems))
    return value
