"""What a test turns to make this server behave like a bad day of the real one. All off at first.

Belongs here: visibility delay, rate limits and injected faults: their settings, and drawing from
them.

Chance is seeded: the same settings and the same order of requests give the same day again.
"""

from __future__ import annotations

import math
import random
import re
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

from ..data.store import ReadKind
from ..errors import RequestRefusedError, undeserializable

Stage = Literal["before", "after"]
#: Where the connection breaks: before any byte of the response, or in the middle of its body.
Tear = Literal["before_headers", "in_body"]

_LIMITED = ("upsert", "query", "fetch", "update", "delete", "list")


@dataclass
class Fault:
    """Something that goes wrong with requests that match.

    Attributes:
        match: Regular expression, searched in "METHOD /path".
        stage: Before the request is handled, or after it was applied.
        status: Answer with this HTTP status; None answers as usual unless `tear` is set.
        message: The text of that answer.
        retry_after: Seconds to send as `Retry-After`.
        delay_seconds: Wait so long first.
        tear: Break the connection instead of answering.
        skip: Leave so many matching requests alone first.
        times: Strike so many times, then never again; None strikes for ever.
        probability: Chance of striking each time.
        hits: How often it has struck.
    """

    match: str
    stage: Stage = "before"
    status: int | None = None
    message: str = "injected fault"
    retry_after: float | None = None
    delay_seconds: float = 0.0
    tear: Tear | None = None
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    hits: int = 0

    @classmethod
    def parse(cls, raw: Any) -> Fault:
        """Read a fault of the admin route, refusing what it does not know."""
        if not isinstance(raw, dict) or not isinstance(raw.get("match"), str):
            raise undeserializable("a fault is an object with 'match'")
        if unknown := sorted(set(raw) - set(cls.__dataclass_fields__) | ({"hits"} & set(raw))):
            raise undeserializable(f"unknown field(s) of a fault: {', '.join(unknown)}")
        fault = cls(**raw)
        choices: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
            ("stage", fault.stage, ("before", "after")),
            ("tear", fault.tear, (None, "before_headers", "in_body")),
        )
        for name, value, known in choices:
            if value not in known:
                raise undeserializable(f"'{name}' of a fault is one of {known}, got {value!r}")
        try:
            re.compile(fault.match)
        except re.error as error:
            raise undeserializable(f"'match' of a fault: {error}") from None
        return fault

    @property
    def refusal(self) -> RequestRefusedError | None:
        """The answer to give instead of the usual one, if any."""
        if self.status is None:
            return None
        wait = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        plain = self.status == 429
        return RequestRefusedError(self.status, self.message, headers=wait, plain=plain)


class Knobs:
    """The settings of a running server; safe to turn while it serves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str, str], tuple[float, float]] = {}
        self.configure({})

    def configure(self, raw: dict[str, Any]) -> None:
        """Replace all settings; what is left out is off.

        Args:
            raw: `seed`; `visibility_delay_seconds` with `fetch` and `search`, each `[least,
                most]`; `requests_per_second` by operation and namespace; `faults`.
        """
        known = {"seed", "visibility_delay_seconds", "requests_per_second", "faults"}
        if unknown := sorted(set(raw) - known):
            raise undeserializable(f"unknown knob(s): {', '.join(unknown)}")
        delays = _delays(raw.get("visibility_delay_seconds") or {})
        rates = _rates(raw.get("requests_per_second") or {})
        faults = [Fault.parse(fault) for fault in raw.get("faults") or []]
        with self._lock:
            self.seed = int(raw.get("seed") or 0)
            self.visibility_delay_seconds = delays
            self.requests_per_second = rates
            self.faults = faults
            self._random = random.Random(self.seed)
            self._buckets.clear()

    def as_json(self) -> dict[str, Any]:
        """Show all settings, and how often each fault has struck."""
        with self._lock:
            return {
                "seed": self.seed,
                "visibility_delay_seconds": self.visibility_delay_seconds,
                "requests_per_second": self.requests_per_second,
                "faults": [vars(fault) for fault in self.faults],
            }

    def delay(self, kind: ReadKind) -> float:
        """Draw how long a write stays hidden from a kind of reader, in seconds."""
        least, most = self.visibility_delay_seconds[kind]
        if least == most:
            return least
        with self._lock:
            return self._random.uniform(least, most)

    def strike(self, method: str, path: str, stage: Stage) -> Fault | None:
        """Draw the fault that hits a request at a stage, if one does."""
        if not self.faults:
            return None
        with self._lock:
            for fault in self.faults:
                if fault.stage != stage or not re.search(fault.match, f"{method} {path}"):
                    continue
                if fault.times is not None and fault.hits >= fault.times:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if self._random.random() < fault.probability:
                    fault.hits += 1
                    return fault
        return None

    def throttle(self, operation: str, index: str, namespace: str) -> None:
        """Take one request from the operation's budget.

        Raises:
            RequestRefusedError: 429 with `Retry-After` when the budget is used up.
        """
        rate = self.requests_per_second.get(operation)
        if rate is None:
            return
        key, now = (operation, index, namespace), time.monotonic()
        # A budget of one second's requests, and always room for one.
        capacity = max(rate, 1.0)
        with self._lock:
            left, since = self._buckets.get(key, (capacity, now))
            left = min(capacity, left + (now - since) * rate)
            self._buckets[key] = (left - 1 if left >= 1 else left, now)
        if left < 1:
            raise RequestRefusedError(
                429,
                f"Request failed. You've reached the {operation} request limit of {rate:g} per "
                f"second for namespace {namespace}. Pace your requests.",
                headers={"Retry-After": str(math.ceil((1 - left) / rate))},
                plain=True,
            )


def _delays(raw: dict[str, Any]) -> dict[ReadKind, tuple[float, float]]:
    if unknown := sorted(set(raw) - {"fetch", "search"}):
        raise undeserializable(f"visibility_delay_seconds: unknown reader(s) {', '.join(unknown)}")
    return {"fetch": _span(raw.get("fetch", 0)), "search": _span(raw.get("search", 0))}


def _span(raw: Any) -> tuple[float, float]:
    least, most = raw if isinstance(raw, list) and len(raw) == 2 else (raw, raw)
    if not all(isinstance(value, (int, float)) and value >= 0 for value in (least, most)):
        raise undeserializable(f"a delay is seconds or [least, most], got {raw!r}")
    return float(least), float(most)


def _rates(raw: dict[str, Any]) -> dict[str, float]:
    for operation, rate in raw.items():
        if operation not in _LIMITED:
            raise undeserializable(f"requests_per_second: {operation!r} is none of {_LIMITED}")
        if not isinstance(rate, (int, float)) or rate <= 0:
            raise undeserializable(f"requests_per_second: {operation} must be above 0")
    return {operation: float(rate) for operation, rate in raw.items()}
