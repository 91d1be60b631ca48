"""Errors of the models room.

Belongs here: what can go wrong between a model's settings and its vectors.
"""

from __future__ import annotations

from vector_platform.errors import TerminalError, TransientError


class ModelError(TerminalError):
    """A model version cannot be used as configured. Names the model and the way out.

    Attributes:
        name: The model version.
        why: What is wrong, without the rest of the message.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        self.why = problem
        super().__init__(f"model {name}: {problem}")


class ModelUnavailableError(ModelError):
    """The weights are not where the settings say, and no retry will bring them."""


class EndpointUnavailable(TransientError):
    """The endpoint of a model version did not answer as expected; it may later."""


class ModelDownloadError(TransientError):
    """The hub did not answer as expected; the same download may succeed later."""
