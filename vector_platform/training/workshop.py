"""What model versions are made with, as values: the lake, the settings, and how a model is opened.

Belongs here: what more than one way of making a model version needs. Names that settings follow
afterwards are the caller's affair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vector_platform.errors import TerminalError
from vector_platform.lake.lake import Lake
from vector_platform.models.base import Embedder
from vector_platform.settings import Model, Settings

# Room that the suffix of a version made from another leaves of a name's 48 characters.
BASE_NAME_LENGTH = 36


class CannotBeMade(TerminalError):
    """What is asked for cannot be made from the model version that is named."""


@dataclass(frozen=True)
class Workshop:
    """A deployment, for who makes model versions.

    Attributes:
        lake: Its lake.
        settings: As they are at the start.
        embedder: Opens a model version by name.
        weights_of: The folder of a model version with weights of its own.
    """

    lake: Lake
    settings: Settings
    embedder: Callable[[str], Embedder]
    weights_of: Callable[[str], Path]

    def spec(self, model_version: str) -> Model:
        """The entry of a model version that can be opened.

        Raises:
            CannotBeMade: Its vectors are given, so there is no model to make another from.
        """
        spec = self.settings.models[self.embedder(model_version).name]
        if spec.given is not None:
            raise CannotBeMade(
                f"the vectors of {model_version} are given: there is no model here to train, to "
                "align or to name anew"
            )
        return spec
