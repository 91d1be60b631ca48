"""Asking an endpoint: one request, tried again when that may help, and errors that say what to do.

Belongs here: HTTP, the credential, waiting. The key is read from the environment when a request is
made, goes into its header, and nowhere else: what a server says is shown without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NoReturn

import httpx

from vector_platform.faults import first_line
from vector_platform.masking import MASK, masked
from vector_platform.models.endpoint.answers import Answer, NotJson, WrongAnswer, answer_of
from vector_platform.models.errors import EndpointUnavailable, ModelError
from vector_platform.settings import Endpoint, secret

# What passes by itself: too many requests, a timeout, a server that is overloaded or starting.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
# Longer than this nobody is waited for within a run; the run is tried again as a whole.
MOST_SECONDS = 120.0
_FIRST_SECONDS = 0.5
# Of a number in JSON with its comma, and of everything around the vectors.
_BYTES_A_NUMBER, _BYTES_AROUND = 40, 64 * 1024
_SHOWN_CHARACTERS = 200


class EndpointClient:
    """Asks one endpoint for vectors. Threads may share it.

    Args:
        name: The model version, for messages.
        spec: Where it is, and how it is asked.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self, name: str, spec: Endpoint, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._name, self._spec, self._sleep = name, spec, sleep
        self._lock = threading.Lock()
        self._opened: httpx.Client | None = None

    def ask(
        self, texts: Sequence[str], *, attempts: int | None = None, seconds: float | None = None
    ) -> Answer:
        """Vectors of some texts, in one request.

        Args:
            texts: At most `batch_texts`.
            attempts: How often it is tried; as set by default.
            seconds: How long one try may take; as set by default.

        Raises:
            EndpointUnavailable: It did not answer, or not in full, however often it was asked.
            ModelError: The key is missing or refused, the request is refused, or the answer is
                not what was asked for.
        """
        tries = attempts or self._spec.attempts
        for attempt in range(1, tries + 1):
            try:
                return self._once(texts, seconds or self._spec.timeout_seconds)
            except _Passing as found:
                if attempt == tries or found.wait > MOST_SECONDS:
                    raise self._unavailable(found, attempt) from None
                self._sleep(max(found.wait, _FIRST_SECONDS * 2 ** (attempt - 1)))
        raise AssertionError("tries is at least one")

    def _once(self, texts: Sequence[str], seconds: float) -> Answer:
        spec = self._spec
        asked: dict[str, object] = {
            "model": spec.model,
            "input": list(texts),
            "encoding_format": "float",
        }
        if spec.send_dimensions:
            asked["dimensions"] = spec.dimensions
        key = self._key()
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        most = len(texts) * spec.dimensions * _BYTES_A_NUMBER + _BYTES_AROUND
        until = time.monotonic() + seconds
        try:
            with self._client().stream(
                "POST", "embeddings", json=asked, headers=headers, timeout=seconds
            ) as response:
                body = b""
                for part in response.iter_bytes():
                    body += part
                    if len(body) > most:
                        raise self._refused(f"its answer is longer than {most} bytes")
                    if time.monotonic() > until:
                        raise _Passing(f"no whole answer within {seconds:g} s")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise self._refused(f"the url cannot be used: {error}") from None
        except httpx.HTTPError as error:
            said = first_line(error, type(error).__name__)
            raise _Passing(f"{type(error).__name__}: {self._shown(said, key)}") from None
        if response.status_code != 200:
            self._refuse(response, body, key)
        try:
            return answer_of(body, texts=len(texts), dimensions=spec.dimensions, name=self._name)
        except NotJson as error:
            raise _Passing(str(error)) from None
        except WrongAnswer as error:
            raise self._refused(str(error)) from None

    def _refuse(self, response: httpx.Response, body: bytes, key: str | None) -> NoReturn:
        status, spec = response.status_code, self._spec
        said = self._shown(body.decode("utf-8", "replace"), key)
        if status in _PASSING:
            raise _Passing(f"status {status}: {said}", _seconds(response.headers))
        if status in (401, 403):
            way_out = (
                f"set the environment variable {spec.key} to a key that it accepts"
                if spec.key
                else "name the environment variable that holds a key (endpoint.key)"
            )
            raise self._refused(f"it does not accept the credential (status {status}): {way_out}")
        ways_out = {
            404: " (is the url complete, as most end in /v1, and the model's name right?)",
            413: " (fewer characters: endpoint.max_characters, or texts: endpoint.batch_texts)",
        }
        way_out = ways_out.get(status, "")
        raise self._refused(f"it refuses the request with status {status}{way_out}: {said}")

    def _refused(self, why: str) -> ModelError:
        return ModelError(self._name, f"endpoint {masked(self._spec.url)}: {why}")

    def _unavailable(self, found: _Passing, attempts: int) -> EndpointUnavailable:
        waits = f"; it asks to wait {found.wait:.0f} s" if found.wait > MOST_SECONDS else ""
        return EndpointUnavailable(
            f"model {self._name}: endpoint {masked(self._spec.url)} gave no answer, asked "
            f"{attempts} time(s): {found}{waits}"
        )

    def _shown(self, text: str, key: str | None) -> str:
        """What a server said, on one line and without the key."""
        safe = text.replace(key, MASK) if key else text
        return masked(" ".join(safe.split())[:_SHOWN_CHARACTERS])

    def _key(self) -> str | None:
        if self._spec.key is None:
            return None
        found = secret(self._spec.key)
        if found is None:
            raise ModelError(
                self._name, f"the environment variable {self._spec.key} (endpoint.key) is not set"
            )
        value = found.get_secret_value()
        if not (value.isascii() and value.isprintable()) or value != value.strip():
            raise ModelError(
                self._name,
                f"the environment variable {self._spec.key} holds what is no key: white space, or "
                "characters beyond ASCII",
            )
        return value

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._opened is None:
                self._opened = httpx.Client(base_url=self._spec.url)
            return self._opened


class _Passing(Exception):
    """A failure that may pass.

    Attributes:
        wait: Seconds that the server asks to wait; 0 where it asks for none.
    """

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


def _seconds(headers: httpx.Headers) -> float:
    """What `Retry-After` says: seconds, or a date."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    seconds: float = (until - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds)
