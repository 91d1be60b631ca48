"""Errors of the platform: one root, and the two kinds that a retry policy tells apart.

Belongs here: the classes that more than one room raises or catches. A room's own errors subclass
these in that room.

Whether to retry is decided by type, never by reading a message: an error that may pass by
itself is a `TransientError`; one that needs a person or a change of data is a `TerminalError`.
"""

from __future__ import annotations

from vector_platform.masking import masked


class VectorPlatformError(Exception):
    """Root of every error the platform raises on purpose.

    The message says what is wrong, where (file, row, field), and the way out. It is shown without
    the secrets of an address that stands in it.
    """

    def __str__(self) -> str:
        return masked(super().__str__())


class TransientError(VectorPlatformError):
    """The same call may succeed later: a busy server, a lost connection, a commit conflict."""


class TerminalError(VectorPlatformError):
    """The same call fails again until somebody changes the data, the settings or the code."""


class RefusedByPolicy(TerminalError):
    """What somebody has set forbids it: a guard, a gate, a freeze, a list of approvers."""


class ContractError(TerminalError):
    """Data that breaks the lake's contract. Carries every violation, never only the first.

    Attributes:
        violations: One line each, naming the table, the row and the field.
    """

    def __init__(self, what: str, violations: list[str]) -> None:
        self.violations = violations
        shown = "\n".join(f"  - {line}" for line in violations[:20])
        more = f"\n  ... and {len(violations) - 20} more" if len(violations) > 20 else ""
        super().__init__(f"{what}: {len(violations)} violation(s)\n{shown}{more}")
