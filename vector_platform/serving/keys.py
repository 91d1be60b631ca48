"""Keys of callers: made once, told once, kept as hashes.

Belongs here: what a key is good for, the file that holds their hashes, and telling a caller by one.
Does not belong here: what a known caller may do (`allowed.py`).

A key is `vp_<id>_<secret>`: 256 random bits, so a plain SHA-256 of it is as good as a slow hash,
and costs a request nothing. The file is replaced whole under a lock and looked at for each
request, so a key that is revoked is refused at the next one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from filelock import FileLock

from vector_platform.errors import TerminalError
from vector_platform.lake.contract import MAX_TENANT_BYTES, identity_problem

Action = Literal["search", "read"]
ACTIONS: Final[tuple[Action, ...]] = ("search", "read")
_PREFIX: Final = "vp_"
_LOCK_SECONDS: Final = 30


class BadKey(TerminalError):
    """A key that cannot be made, or that there is none of."""


@dataclass(frozen=True)
class ApiKey:
    """A key, without its secret.

    Attributes:
        id: Names it, in lists and logs.
        name: Whose it is, for people.
        hash: SHA-256 of the key, in hex.
        tenants: Whose rows it may see.
        actions: What it may do: `search`, `read` (documents and files).
        created_at: When it was made.
        expires_at: Until when it is good; None for ever.
        revoked_at: Since when it is not; None while it is.
    """

    id: str
    name: str
    hash: str
    tenants: tuple[str, ...]
    actions: tuple[Action, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> Literal["good", "expired", "revoked"]:
        """Whether it is good at a moment."""
        if self.revoked_at is not None and now >= self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "good"

    def facts(self, now: datetime) -> dict[str, Any]:
        """It as lists show it: without its hash."""
        shown = {name: value for name, value in vars(self).items() if name != "hash"}
        return shown | {"state": self.state(now)}


class Keys:
    """The keys of a deployment.

    Args:
        file: Where their hashes are.
        clock: Tells the time.
    """

    def __init__(
        self, file: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._file = file
        self._clock = clock
        self._read: tuple[tuple[int, int, int], dict[str, ApiKey]] | None = None
        self._reading = threading.Lock()

    def exist(self) -> bool:
        """Whether a key was ever made: from then on, callers need one."""
        return self._file.exists()

    def all(self) -> list[ApiKey]:
        """Every key that was made, oldest first."""
        return sorted(self._known().values(), key=lambda key: (key.created_at, key.id))

    def create(
        self,
        name: str,
        *,
        tenants: Sequence[str],
        actions: Sequence[Action] = ACTIONS,
        days: float | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key, and its text, which is told nowhere else.

        Args:
            name: Whose it is.
            tenants: Whose rows it may see; at least one.
            actions: What it may do.
            days: For how long it is good.

        Raises:
            BadKey: It would be good for nothing, or a tenant can have no rows.
        """
        if not name.strip() or not tenants or not actions:
            raise BadKey("a key has a name, at least one tenant, and something it may do")
        for tenant in tenants:
            if problem := identity_problem(tenant, max_bytes=MAX_TENANT_BYTES):
                raise BadKey(f"no tenant is called {tenant[:60]!r}: the name {problem}")
        if days is not None and days <= 0:
            raise BadKey("a key is good for more than no time")
        now = self._clock()
        expires = None if days is None else now + timedelta(days=days)
        made, text = _made(name, tuple(dict.fromkeys(tenants)), tuple(actions), now, expires)
        self._change({made.id: made})
        return made, text

    def rotate(self, key_id: str, *, overlap_hours: float = 24) -> tuple[ApiKey, str]:
        """A new key for the same, and its text; the old one is good for some hours more.

        Raises:
            BadKey: There is no such key that is good.
        """
        old, now = self._good(key_id), self._clock()
        made, text = _made(old.name, old.tenants, old.actions, now, old.expires_at)
        ends = now + timedelta(hours=max(0.0, overlap_hours))
        until = ends if old.expires_at is None else min(ends, old.expires_at)
        self._change({made.id: made, old.id: replace(old, expires_at=until)})
        return made, text

    def revoke(self, key_id: str) -> ApiKey:
        """Let a key be good no more. Revoking it again changes nothing.

        Raises:
            BadKey: There is no such key.
        """
        known = self._known().get(key_id)
        if known is None:
            raise BadKey(f"there is no key {key_id[:40]!r}; `vector-platform keys list` has them")
        if known.revoked_at is None:
            known = replace(known, revoked_at=self._clock())
            self._change({known.id: known})
        return known

    def of(self, text: str) -> ApiKey | None:
        """The key that a text is, if it is good now."""
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        known = self._known().get(key_id) if f"{prefix}_" == _PREFIX and secret else None
        # As much work for a key that is unknown as for a wrong one.
        same = hmac.compare_digest(known.hash if known else "", _hash(text))
        return known if known and same and known.state(self._clock()) == "good" else None

    def _good(self, key_id: str) -> ApiKey:
        known = self._known().get(key_id)
        if known is None or known.state(self._clock()) != "good":
            state = "no key" if known is None else f"{known.state(self._clock())}, not a good key"
            raise BadKey(f"{key_id[:40]!r} is {state}; `vector-platform keys list` has them")
        return known

    def _known(self) -> dict[str, ApiKey]:
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return {}
        # Every change is another file, whatever its times say.
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        with self._reading:
            if self._read is None or self._read[0] != seen:
                self._read = (seen, _from_json(self._file))
            return self._read[1]

    def _change(self, keys: dict[str, ApiKey]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._file.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            held = (_from_json(self._file) if self._file.exists() else {}) | keys
            fresh = self._file.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            fresh.touch(mode=0o600, exist_ok=False)
            with fresh.open("w", encoding="utf-8") as out:
                json.dump([_to_json(key) for key in held.values()], out, indent=1)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(self._file)


def _made(
    name: str,
    tenants: tuple[str, ...],
    actions: tuple[Action, ...],
    now: datetime,
    expires: datetime | None,
) -> tuple[ApiKey, str]:
    key_id = secrets.token_hex(6)
    text = f"{_PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
    return ApiKey(key_id, name, _hash(text), tenants, actions, now, expires), text


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _to_json(key: ApiKey) -> dict[str, Any]:
    plain = asdict(key)
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in plain.items()
    }


def _from_json(file: Path) -> dict[str, ApiKey]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        keys = [
            ApiKey(
                **row
                | {
                    name: None if row[name] is None else datetime.fromisoformat(row[name])
                    for name in ("created_at", "expires_at", "revoked_at")
                }
                | {name: tuple(row[name]) for name in ("tenants", "actions")}
            )
            for row in rows
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise BadKey(
            f"{file} does not hold keys ({error}): restore it, no key is good now"
        ) from None
    return {key.id: key for key in keys}
