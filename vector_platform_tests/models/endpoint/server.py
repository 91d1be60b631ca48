"""An OpenAI-compatible endpoint on loopback, whose vectors are wordllama's.

Belongs here: the server, and the faults that it can be told to have.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from vector_platform.models.base import Embedded, Embedder, Vectors

KEY = "sk-" + "test-0123456789"


class Reversed(Embedder):
    """Another model behind the name: the vectors of one, their numbers from the end."""

    def __init__(self, of: Embedder) -> None:
        super().__init__(of.name, of.fingerprint)
        self._of = of

    def embed_few(self, texts: Sequence[str]) -> Vectors:
        return self._of.embed_few(texts)[:, ::-1]

    def _count(self, texts: list[str]) -> int:
        return self._of._count(texts)

    def _encode(self, texts: list[str], **how: Any) -> Embedded:
        return self._of._encode(texts, **how)


# What is done to an answer: to its status, its headers and its body; None tears the connection.
Reply = tuple[int, dict[str, str], bytes | None]
Fault = Callable[[dict[str, Any]], Reply]


def status(code: int, said: str = "", **headers: str) -> Fault:
    """Another status than 200."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda answer: (code, named, json.dumps({"error": {"message": said}}).encode())


def changed(change: Callable[[dict[str, Any]], object]) -> Fault:
    """An answer of which something was changed."""

    def fault(answer: dict[str, Any]) -> Reply:
        change(answer)
        return 200, {}, json.dumps(answer).encode()

    return fault


def torn(answer: dict[str, Any]) -> Reply:
    """The connection breaks in the middle of the body."""
    return 200, {}, None


def cut_off(answer: dict[str, Any]) -> Reply:
    """Half of the JSON, as a whole body."""
    body = json.dumps(answer).encode()
    return 200, {}, body[: len(body) // 2]


@dataclass
class Endpoint:
    """A server that is running.

    Attributes:
        url: What `endpoint.url` is set to.
        faults: Of the next requests, one each; None for none.
        asked: Bodies of the requests, in their order.
        embedder: Who makes the vectors; may be changed.
    """

    url: str
    embedder: Embedder
    faults: list[Fault | None] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def reply(self, asked: dict[str, Any]) -> Reply:
        self.asked.append(asked)
        texts = asked["input"]
        answer = {
            "object": "list",
            "model": asked["model"],
            "data": [
                {"object": "embedding", "index": place, "embedding": vector.tolist()}
                for place, vector in enumerate(self.embedder.embed_few(texts))
            ],
            "usage": {"prompt_tokens": 7 * len(texts), "total_tokens": 7 * len(texts)},
        }
        fault = self.faults.pop(0) if self.faults else None
        return (200, {}, json.dumps(answer).encode()) if fault is None else fault(answer)


@contextmanager
def serving(embedder: Embedder) -> Iterator[Endpoint]:
    """A server, stopped at the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path != "/v1/embeddings":
                code, headers, body = status(404, "no such path")({})
            elif self.headers.get("authorization") != f"Bearer {KEY}":
                said = f"the key {self.headers.get('authorization')} is wrong"
                code, headers, body = status(401, said)({})
            else:
                code, headers, body = found.reply(asked)
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "1000" if body is None else str(len(body)))
            self.end_headers()
            self.wfile.write(b'{"data": [' if body is None else body)
            self.close_connection = body is None

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that has heard enough hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    found = Endpoint(f"http://127.0.0.1:{server.server_address[1]}/v1", embedder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
