"""Classes of the user's own as sources."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from vector_platform.settings import PythonSource
from vector_platform.sources.base import DayWindow, Source, SourceInvalid
from vector_platform.sources.python import open_class
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
    (tmp_path / "bad_syntax.py").write_text("class Tickets(:")
    (tmp_path / "broken_tickets.py").write_text("import no_such_package_anywhere")
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("my_tickets", "broken_tickets", "bad_syntax"):
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
        ("no_such_module:Tickets", {}, "there is no module 'no_such_module' beside platform.yaml"),
        ("my_tickets.no_such:Tickets", {}, "cannot be imported: No module named 'my_tickets.no"),
        ("bad_syntax:Tickets", {}, "cannot be imported"),
        ("__main__:Tickets", {}, "there is no module '__main__' beside platform.yaml"),
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


@pytest.mark.parametrize(
    "path", ["../x:Y", "..x:Y", "/etc/x:Y", "x..y:Y", ".x:Y", "x:Y.z", "x", "x:", ":Y", "a b:Y"]
)
def test_a_class_that_is_no_dotted_name_is_refused_with_the_settings(path: str) -> None:
    described = {"kind": "python", "class": path, "fields": {"key": "id", "text": "text"}}
    with pytest.raises(ValidationError, match="class"):
        PythonSource.model_validate(described)


@pytest.mark.parametrize("module", ["os", "subprocess", "this", "xml.sax", "sys"])
def test_a_module_from_elsewhere_is_refused_before_it_is_imported(root: Path, module: str) -> None:
    loaded = set(sys.modules)
    with pytest.raises(SourceInvalid, match="does not lie beside") as raised:
        open_python(root, f"{module}:system")
    assert "source_packages" in str(raised.value)
    assert {"this", "xml.sax"}.isdisjoint(set(sys.modules) - loaded)


def test_a_module_beside_the_file_that_another_hides_is_not_taken_for_it(root: Path) -> None:
    (root / "json.py").write_text(MODULE)
    with pytest.raises(SourceInvalid, match="from elsewhere hides the one beside"):
        open_python(root, "json:Tickets", project="red")


def test_an_installed_package_is_opened_when_the_settings_name_it(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("installed")
    (elsewhere / "vendor_tickets.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(elsewhere))
    monkeypatch.delitem(sys.modules, "vendor_tickets", raising=False)
    options = {"project": "red"}
    with pytest.raises(SourceInvalid, match="'vendor_tickets' does not lie beside"):
        open_class("tickets", "vendor_tickets:Tickets", options, root)
    with pytest.raises(SourceInvalid, match="'vendor_tickets' does not lie beside"):
        open_class("tickets", "vendor_tickets:Tickets", options, root, packages=["vendor"])
    opened = open_class(
        "tickets", "vendor_tickets:Tickets", options, root, packages=["vendor_tickets"]
    )
    assert opened.name == "tickets"
