"""What every section of the settings rests on.

Belongs here: the base class, the error, and the forms of names.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from vector_platform.errors import TerminalError

# Lower snake case: a source name becomes a Dagster asset key, a Delta folder and a dbt model.
SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
# The immutable name of a model version; also a Dagster partition key and part of index names.
# A provisional one, whose vectors are aligned from another's, is called `new~from-old`.
ModelVersion = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}(~from-[a-z0-9][a-z0-9._-]{0,47})?$"),
]
# Field names that every backend accepts (Pinecone: 64 bytes, no leading `_` or `$`).
AttributeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,47}$")]
# A registered backend (`indexes/registry.py`): its folder, its section and its assets' first key.
BackendName = str


class SettingsError(TerminalError):
    """`platform.yaml` or an override is wrong. Lists every problem with its path.

    Attributes:
        problems: One `path: what is wrong` line each.
    """

    def __init__(self, origin: str, problems: list[str]) -> None:
        self.problems = problems
        listed = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{origin}: {len(problems)} problem(s)\n{listed}")


class Section(BaseModel):
    """A section of the file: no key that it does not name, and no change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
