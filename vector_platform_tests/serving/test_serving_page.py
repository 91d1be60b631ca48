"""The page on serving: its `curl` lines, run as they stand there against a service."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from vector_platform.lake.contract import DOCUMENTS
from vector_platform.serving.http.app import create_app
from vector_platform.serving.http.server import PORT, SearchServer
from vector_platform_tests.lake.building import chunk, embed, put
from vector_platform_tests.releases.deployment import Deployment
from vector_platform_tests.serving.worlds import document, go_live, searcher_of
from vector_platform_tests.some import some

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
LINES = [line for block in BLOCKS for line in re.split(r"\n(?=curl )", block.strip())]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchServer]:
    world = Deployment(tmp_path_factory.mktemp("page"), documents=2)
    kept = {"items:brakes": "A spongy brake lever.", "items:lights": "The light is broken."}
    for doc_id, text in kept.items():
        put(world.lake, chunk(doc_id, text, attributes={"severity": "high"}))
    rows = [document(doc_id, text) for doc_id, text in kept.items()]
    world.lake.documents.merge(pa.Table.from_pylist(rows, schema=DOCUMENTS.schema))
    embed(world.lake, "old.v1")
    go_live(world)
    with (
        searcher_of(world.lake, world.target, attributes={"severity"}) as searcher,
        SearchServer(create_app(searcher), port=0) as server,
    ):
        yield server


def test_the_page_shows_every_endpoint(server: SearchServer) -> None:
    import httpx

    shown = " ".join(LINES)
    paths = some(httpx.get(f"{server.url}/openapi.json").json()["paths"])
    # A store and a file alone are seen in what lists them.
    aside = {"/v1/vector_stores/{store}", "/v1/vector_stores/{store}/files/{file_id}"}
    assert aside <= set(paths)
    names = {"store": "documents", "doc_id": "items:brakes", "file_id": "items:brakes"}
    asked = [path.format(**names) for path in paths if path not in aside]
    missing = [path for path in asked if not re.search(re.escape(path) + r"(?:[?' \n]|$)", shown)]
    assert missing == []


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_line_of_the_page_is_answered(server: SearchServer, line: str) -> None:
    here = line.replace(f"http://127.0.0.1:{PORT}", server.url)
    assert here != line
    done = subprocess.run(
        ["bash", "-c", here.replace("curl -s", "curl -sS --fail-with-body", 1)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)
