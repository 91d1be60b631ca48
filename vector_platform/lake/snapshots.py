"""What a consumer names when it reads the lake: a snapshot and a model version.

Belongs here: these values, and the errors of asking for one that cannot be had.
"""

from __future__ import annotations

from dataclasses import dataclass

from vector_platform.errors import TerminalError


@dataclass(frozen=True)
class Snapshot:
    """A pair of Delta versions that together determine the content of every index.

    Attributes:
        chunks: Version of the `chunks` table.
        embeddings: Version of the `embeddings` table.
        chunks_id: Delta's id of the `chunks` table; versions of another table do not compare.
    """

    chunks: int
    embeddings: int
    chunks_id: str = ""

    def __str__(self) -> str:
        return f"chunks@{self.chunks}+embeddings@{self.embeddings}"


@dataclass(frozen=True)
class VersionsByDay:
    """Versions of the two tables that say what counts on which day, and which tables those are."""

    chunks_id: str
    chunks: int
    documents_id: str
    documents: int

    def precedes(self, later: VersionsByDay) -> bool:
        """Whether these are the same tables as `later`, and not newer."""
        same = (self.chunks_id, self.documents_id) == (later.chunks_id, later.documents_id)
        return same and self.chunks <= later.chunks and self.documents <= later.documents


@dataclass(frozen=True)
class ModelVersion:
    """The registered binding of a model version to its fingerprint.

    Attributes:
        name: The model version.
        fingerprint: What its name is bound to.
        dimension: Length of its vectors.
        vectors_of: The model version whose document vectors it uses; mostly itself.
    """

    name: str
    fingerprint: str
    dimension: int
    vectors_of: str


class SnapshotIncomplete(TerminalError):
    """Chunks of a snapshot have no vector under a model version, so no index can be built."""


class UnknownModelVersion(TerminalError):
    """A model version that has never been embedded."""


class FingerprintChanged(TerminalError):
    """A known model version answers with another fingerprint than it was registered with."""
