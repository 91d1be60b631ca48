"""Errors of the embedded servers' lifecycle."""

from __future__ import annotations

from vector_platform.errors import TerminalError, TransientError


class ServiceNotRunningError(TransientError):
    """An embedded server that was asked for is not running; starting it is the way out."""


class ServiceDiedError(ServiceNotRunningError):
    """An embedded server was started and its process is gone. Carries the tail of its log."""


class ServiceRecordError(TerminalError):
    """What is remembered of an embedded server cannot be read."""


class ServiceStartError(TerminalError):
    """An embedded server could not be started. Carries the tail of its log."""
