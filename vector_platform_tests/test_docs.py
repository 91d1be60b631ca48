"""The documentation, held to the code: settings, tables, commands, links, pictures, containers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin
from urllib.parse import unquote

import pytest
import typer
import yaml
from pydantic import BaseModel

from vector_platform.cli.app import app
from vector_platform.indexes.backends.milvus.settings import MilvusSettings
from vector_platform.indexes.backends.milvus.terms import build_params, search_params
from vector_platform.indexes.registry import settings_model
from vector_platform.lake import contract
from vector_platform.wiring import load_settings
from vector_platform_tests.docs import blocks
from vector_platform_tests.some import some

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "CHANGELOG.md", *blocks.PAGES]
SPECS = [value for value in vars(contract).values() if isinstance(value, contract.TableSpec)]
MAX_PICTURE_BYTES = 200_000
MAX_LINE = 120
# What cannot be broken over lines: what a command printed, and a row of a table. A cell that is a
# paragraph belongs into a list.
MAX_UNBROKEN = {"code": 150, "row": 300}
# First parts of a path that stand for a folder of the repository.
FOLDERS = {"vector_platform", "vector_platform_tests", "docs", "docker", "benchmarks"} | {
    entry.name
    for package in ("vector_platform", "vector_platform_tests")
    for entry in (ROOT / package).iterdir()
    if entry.is_dir()
}

page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def test_every_settings_key_is_in_the_page_of_its_section() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    missing = [
        f"{section.__name__}.{name}"
        for section in sections(settings_model())
        for name in names_of(section)
        if section.__name__ != "Constant" and f"| `{name}` |" not in text
    ]
    assert missing == []


def test_every_default_of_a_number_or_choice_is_in_the_page() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    wrong = [
        f"{section.__name__}.{name} = {field.default}"
        for section in sections(settings_model())
        for name, field in section.model_fields.items()
        if isinstance(field.default, (int, float, str))
        and field.default not in ("", False)
        and not re.search(rf"\| `{name}` \|.*\| `{re.escape(shown(field.default))}` \|", text)
    ]
    assert wrong == []


def test_every_default_parameter_of_a_milvus_index_is_in_the_page() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    (build,) = re.findall(r"^\| `index_params` \|.*$", text, re.MULTILINE)
    (search,) = re.findall(r"^\| `search_params` \|.*$", text, re.MULTILINE)
    for kind in ("HNSW", "IVF_FLAT"):
        settings = MilvusSettings(index_type=kind)
        assert all(f"{k}: {v}" in build for k, v in some(build_params(settings).items()))
        assert all(f"{k}: {v}" in search for k, v in some(search_params(settings, 10).items()))


@pytest.mark.parametrize("spec", [*SPECS, contract.raw_spec("x")], ids=lambda spec: spec.name)
def test_every_column_of_a_table_is_in_its_section_of_the_contract(
    spec: contract.TableSpec,
) -> None:
    text = (ROOT / "docs" / "data-contract.md").read_text(encoding="utf-8")
    heading = "raw/&lt;source&gt;" if spec.name.startswith("raw/") else spec.name
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert [name for name in spec.schema.names if f"`{name}`" not in section] == []


@page
def test_every_command_and_option_in_the_documentation_exists(path: Path) -> None:
    unknown = [
        problem
        for line, whole in commands_in(path.read_text(encoding="utf-8"))
        if (problem := problem_of(line, whole=whole)) is not None
    ]
    assert unknown == []


@page
def test_every_relative_link_and_picture_resolves(path: Path) -> None:
    text = re.sub(
        r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    missing = [
        target
        for target in targets
        if "://" not in target
        and not (path.parent / unquote(target.partition("#")[0] or path.name)).exists()
    ]
    assert missing == []


@page
def test_lines_are_short_enough_to_be_read_and_compared(path: Path) -> None:
    long = [
        f"{number}: {len(line)} characters"
        for number, kind, line in lines_of(path.read_text(encoding="utf-8"))
        if len(line) > MAX_UNBROKEN.get(kind, MAX_LINE)
    ]
    assert long == []


@pytest.mark.parametrize(
    "path",
    [path for path in PAGES if path.name != "CHANGELOG.md"],  # it names what is gone
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_file_folder_and_module_that_a_page_names_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    new = set(re.findall(r"^```python\n# (\S+)$", text, re.MULTILINE))  # what an example adds
    new |= {name.removesuffix(".py").replace("/", ".") for name in new}
    missing = [name for name in paths_in(text) if name not in new and not found(name)]
    assert missing == []


def test_every_folder_of_the_package_is_on_the_floor_plan() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "vector_platform"
    folders = [
        f"{init.parent.relative_to(package).as_posix()}/"
        for init in sorted(package.rglob("__init__.py"))
        if init.parent != package and package / "templates" / "files" not in init.parents
    ]
    plan = "".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))
    assert [name for name in folders if f"`{name}`" not in plan] == []


@page
def test_every_page_opens_with_its_title_and_names_no_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert re.findall(r"(?<![\w.])/(?:tmp|work|root|home)/", text) == []


def test_pictures_are_small_and_all_of_them_are_shown() -> None:
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    shown_in = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    assert [p.name for p in pictures if p.stat().st_size > MAX_PICTURE_BYTES] == []
    assert [p.name for p in pictures if f"images/{p.name})" not in shown_in] == []


def test_every_example_of_a_source_is_a_valid_setting(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "bring-your-own-data.md").read_text(encoding="utf-8")
    merged: dict[str, Any] = {
        "start_date": "2026-11-01",
        "models": {"m.v1": {"package": "wordllama", "kind": "static"}},
    }
    for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for name, value in yaml.safe_load(block).items():
            merged.setdefault(name, {}).update(value)
    (tmp_path / "platform.yaml").write_text(yaml.safe_dump(merged), encoding="utf-8")
    settings = load_settings(tmp_path / "platform.yaml", {})
    assert {"files", "sql", "python"} == {source.kind for source in settings.sources.values()}


def test_compose_holds_no_secret_and_overrides_only_keys_that_exist(tmp_path: Path) -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    environ: dict[str, str] = {}
    secrets = 0
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"KEY|PASSWORD|TOKEN|SECRET", variable):
                secrets += 1
                assert "${" in value, f"{name}: {variable} must come from the environment"
            if variable.startswith("VECTOR_PLATFORM_"):
                environ[variable] = re.sub(r"\$\{\w+:-(.*)\}", r"\1", value)
        build = service.get("build")
        if build:
            context = (ROOT / "docker" / build["context"]).resolve()
            assert (context / build["dockerfile"]).is_file()
        for other in service.get("depends_on", {}):
            assert "healthcheck" in compose["services"][other] or other == "pinecone-local"
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"]
    assert secrets, "the test no longer sees any secret"
    settings = load_settings(ROOT / "platform.yaml", environ)
    milvus = settings.indexes.section("milvus")
    assert isinstance(milvus, MilvusSettings)
    assert milvus.uri == "http://milvus:19530"


def test_whoever_opens_the_ui_is_asked_who_they_are() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    published = {name: one["ports"] for name, one in compose["services"].items() if "ports" in one}
    assert "proxy" in published
    assert "webserver" not in published
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    proxy = (ROOT / "docker" / "proxy.conf").read_text(encoding="utf-8")
    assert re.search(r"^\s*auth_basic_user_file /run/secrets/ui_users;$", proxy, re.MULTILINE)
    for path in PAGES:
        assert "--host 0.0.0.0" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.pinecone-local"])
def test_every_file_that_an_image_copies_exists(name: str) -> None:
    text = (ROOT / "docker" / name).read_text(encoding="utf-8")
    copied = [
        source
        for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
    assert "HEALTHCHECK" in text


# -- reading the code and the pages ---------------------------------------------------------


def sections(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A section of the settings and every section below it."""
    yield section
    for field in section.model_fields.values():
        for inner in inner_types(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from sections(inner)


def inner_types(annotation: Any) -> Iterator[Any]:
    yield annotation
    if get_origin(annotation) is not None or get_args(annotation):
        for argument in get_args(annotation):
            yield from inner_types(argument)


def names_of(section: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def shown(default: float | str) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


def lines_of(text: str) -> Iterator[tuple[int, str, str]]:
    """Number, kind (`code`, `row` of a table, or `prose`) and text of each line."""
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        fence = line.lstrip().startswith("```")
        inside ^= fence
        kind = "code" if inside or fence else "row" if line.startswith("|") else "prose"
        yield number, kind, line


def paths_in(text: str) -> Iterator[str]:
    """Files and folders of the repository, and modules of the package, in backticks or in code."""
    for code in re.findall(r"^```[^\n]*\n(.*?)^```|`([^`\n]+)`", text, re.DOTALL | re.MULTILINE):
        for block in code:
            yield from re.findall(r"(?<![\w./-])vector_platform(?:\.\w+)+", block)
            for word in re.findall(r"[^\s\"'(),]+", block):
                first = word.partition("/")[0]
                if re.fullmatch(r"[\w./-]+", word) and (
                    re.search(r"\w\.py$", word)
                    or ("/" in word and first in FOLDERS and re.search(r"/$|\.\w+$", word))
                ):
                    yield word


def found(name: str) -> bool:
    """Whether a path is there from the repository, its package or its tests, or a module is."""
    if "/" not in name and not name.endswith(".py"):
        module = ROOT.joinpath(*name.split("."))
        return module.is_dir() or any(
            place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()
            for place in (module, module.parent)
        )
    tops = (ROOT, ROOT / "vector_platform", ROOT / "vector_platform_tests")
    return any((top / name).exists() for top in tops)


def commands_in(text: str) -> Iterator[tuple[list[str], bool]]:
    """Calls of `vector-platform` and `make`: in code blocks, which are whole, and in backticks."""
    code = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    blocks = [(block, True) for block in code]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    blocks += [(block, False) for block in re.findall(r"`([^`\n]+)`", prose)]
    for block, whole in blocks:
        for line in re.split(r"\n| \|\| | && ", block):
            found = re.match(r"(?:\$ |.* exec daemon )?(vector-platform|make) (.*)", line.strip())
            if found:
                words = re.sub(r'"[^"]*"', "TEXT", found[2].partition(" #")[0]).split()
                yield [found[1], *words], whole


def problem_of(words: list[str], *, whole: bool) -> str | None:
    """What is wrong with a call, or None; a whole one has everything that its verb needs."""
    program, *rest = words
    if program == "make":
        targets = (ROOT / "Makefile").read_text(encoding="utf-8")
        return None if re.search(rf"^{rest[0]}:", targets, re.MULTILINE) else f"make {rest[0]}"
    command: Any = typer.main.get_command(app)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        found = command.commands.get(rest.pop(0))
        if found is None:
            return " ".join(words)
        command = found
    options = {opt for parameter in command.params for opt in parameter.opts} | {"--help"}
    bad = [word for word in rest if word.startswith("-") and word.split("=")[0] not in options]
    if whole and "--help" not in rest:
        needed = [one.opts[0] for one in command.params if one.required and one.opts[0][0] == "-"]
        bad += [f"without {option}" for option in needed if option not in rest]
    return f"{' '.join(words)}: {', '.join(bad)}" if bad else None
