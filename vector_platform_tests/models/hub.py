"""A hub on loopback that holds one model at one commit.

Belongs here: as much of a hub's interface as a download needs.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serving_hub(model: str, commit: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub, and the paths that it has been asked for."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    asked: list[str] = []
    info = {"id": model, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
    answers = {f"/api/models/{model}/revision/{commit}": json.dumps(info).encode()}
    tree = [
        {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
        for name, data in files.items()
    ]
    answers[f"/api/models/{model}/tree/{commit}"] = json.dumps(tree).encode()
    answers |= {f"/{model}/resolve/{commit}/{name}": data for name, data in files.items()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(whole=True)

        def do_HEAD(self) -> None:
            self._answer(whole=False)

        def _answer(self, *, whole: bool) -> None:
            path = self.path.partition("?")[0]
            asked.append(path)
            body = answers.get(path)
            self.send_response(404 if body is None else 200)
            body = body or b""
            self.send_header("content-length", str(len(body)))
            self.send_header("content-type", "application/json")
            self.send_header("etag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("x-repo-commit", commit)
            self.end_headers()
            if whole:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
