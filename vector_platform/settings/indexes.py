"""`indexes` and `guard`: where vectors are served, and what a sync may do there by itself.

Belongs here: what the sections of all backends share, and how it shows which of their settings
make another index. The settings of one backend are in its own folder (`indexes/backends/`).

Every setting of a backend is either `STORED` (changing it changes what is stored, how or where, so
that a generation built with it is another index, which a release has to judge) or `TUNING` (how it
is reached, asked and filled; a live generation is served with it from the next call on).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from vector_platform.settings.base import BackendName, Section

STORED: Final = "stored"
TUNING: Final = "tuning"


class BackendSection(Section):
    """Settings of one backend, each marked `STORED` or `TUNING`."""

    batch_rows: Annotated[int, TUNING]

    @property
    def is_embedded(self) -> bool:
        """Whether the embedded server of this backend serves it."""
        return False

    @property
    def proof_share(self) -> float:
        """Share of the digests that a full proof reads; below 1 only where reading costs."""
        return 1.0

    @classmethod
    def stored_settings(cls) -> set[str]:
        """Names of the settings that make another index."""
        return {name for name, field in cls.model_fields.items() if STORED in field.metadata}

    @classmethod
    def stored_of(cls, recorded: str) -> dict[str, Any]:
        """What a recorded spec says of what is stored.

        A spec that was recorded with a setting that is `TUNING` today is the same without it.
        """
        spec: Mapping[str, Any] = json.loads(recorded)
        return {name: value for name, value in spec.items() if name in cls.stored_settings()}

    def spec(self) -> dict[str, Any]:
        """What the index is built with: the settings that make another index."""
        return self.model_dump(mode="json", include=self.stored_settings())


class Indexes(Section):
    """The index every backend serves, one section a backend; `null` is a backend not used.

    The sections are fields that the registry of backends adds (`indexes/registry.py`): no backend
    is known here.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,19}$")] = "documents"

    def section(self, backend: BackendName) -> BackendSection | None:
        """The settings of a backend; None when it is not used."""
        found = getattr(self, backend) if backend in type(self).model_fields else None
        return found if isinstance(found, BackendSection) else None

    @property
    def backends(self) -> tuple[BackendName, ...]:
        """Names of the backends that are configured."""
        return tuple(name for name in type(self).model_fields if self.section(name) is not None)


class Guard(Section):
    """Limits a sync may not cross by itself."""

    max_delete_share: float = Field(default=0.10, ge=0, le=1)
    full_proof_hours: float = Field(
        default=24,
        ge=0,
        description="A sync of changes reads back what it touched, and everything when that was "
        "last done longer ago than this.",
    )
    wait_seconds: float = Field(
        default=3600,
        ge=0,
        description="So long a run waits for another one that writes the same thing: a source, the "
        "documents, the chunks, vectors, a generation. Then it fails, and is tried again.",
    )
