"""Classes of the user's own as sources."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

from vector_platform.settings import PythonSource
from vector_platform.sources.base import DayWindow, Source, SourceInvalid
from vector_platform.sources.registry import open_source

MODULE = """
from vector_platform.sources.base import Source, SourceRow

class Tickets(Source):
    def __init__(self, project, limit=2):
        self.project, self.limit = project, limit

    def read(self, window):
        for number in range(self.limit):
            yield SourceRow({"id": number, "text": self.project}, f"ticket {number}", self.name)

class Unfinished(Source):
    pass

class Stranger:
    pass
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_tickets.py").write_text(MODULE)
    (tmp_path / "broken_tickets.py").write_text("import no_such_package_anywhere")
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("my_tickets", "broken_tickets"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def open_python(root: Path, path: str, **options: object) -> Source:
    spec = PythonSource.model_validate(
        {
            "kind": "python",
            "class": path,
            "options": options,
            "fields": {"key": "id", "text": "text"},
        }
    )
    return open_source("tickets", spec, root)


def test_a_class_beside_platform_yaml_is_found_and_receives_its_options(root: Path) -> None:
    source = open_python(root, "my_tickets:Tickets", project="red")
    rows = list(source.read(DayWindow(date(2026, 11, 1))))
    assert [row.uri for row in rows] == ["tickets", "tickets"]
    assert list(source.golden_queries()) == []


@pytest.mark.parametrize(
    ("path", "options", "said"),
    [
        ("no_such_module:Tickets", {}, "cannot be imported: No module named 'no_such_module'"),
        ("broken_tickets:Tickets", {}, "No module named 'no_such_package_anywhere'"),
        ("my_tickets:Nothing", {}, "module 'my_tickets' has no class 'Nothing'"),
        ("my_tickets:Stranger", {}, "'my_tickets:Stranger' is not a subclass of"),
        ("my_tickets:SourceRow", {}, "'my_tickets:SourceRow' is not a subclass of"),
        ("my_tickets:Unfinished", {}, "class 'my_tickets:Unfinished' does not define read"),
        ("my_tickets:Tickets", {}, "missing a required argument: 'project'"),
        ("my_tickets:Tickets", {"project": 1, "colour": 2}, "unexpected keyword argument 'colour'"),
    ],
)
def test_what_is_wrong_with_a_class_is_said_with_the_sources_name(
    root: Path, path: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(SourceInvalid) as raised:
        open_python(root, path, **options)
    assert str(raised.value).startswith("source 'tickets': ") and said in str(raised.value)
