"""Secrets: they live only in the environment, and are never logged.

Belongs here: reading them.
"""

from __future__ import annotations

import os
import re

from pydantic import SecretStr

from vector_platform.settings.base import SettingsError


def secret(name: str) -> SecretStr | None:
    """A secret of the environment, or None when it is not set. Never log its value."""
    value = os.environ.get(name)
    return SecretStr(value) if value else None


def expand_secrets(text: str) -> str:
    """Replace `${NAME}` by the environment's value.

    Raises:
        SettingsError: A name is not set; the message lists all of them.
    """
    names = re.findall(r"\$\{(\w+)\}", text)
    missing = [
        f"environment variable {name} is not set" for name in names if name not in os.environ
    ]
    if missing:
        raise SettingsError("secrets", missing)
    return re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], text)
