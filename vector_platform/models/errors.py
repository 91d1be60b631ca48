"""Errors of the models room.

Belongs here: what can go wrong between a model's settings and its vectors.
"""

from __future__ import annotations

from vector_platform.errors import TerminalError, TransientError


class ModelError(TerminalError):
    """A model version cannot be used as configured. Names the model and the way out."""

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"model {name}: {problem}")


class ModelUnavailableError(ModelError):
    """The weights are not where the settings say, and no retry will bring them."""


class ModelDownloadError(TransientError):
    """The hub did not answer as expected; the same download may succeed later."""
