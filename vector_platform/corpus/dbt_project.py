"""The dbt project of a deployment: the template plus what `platform.yaml` says of its sources.

Belongs here: rendering the project into the data folder, and its manifest. A file is written only
when its content changed, so that dbt's partial parsing stays warm, and a file that is no longer
rendered is removed.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from vector_platform.corpus.quoting import inert, inside_quotes, jinja_dict, jinja_string
from vector_platform.errors import TerminalError
from vector_platform.settings import Constant, FieldMapping, Settings

DATABASE = "warehouse.duckdb"
# Names and digests of the rendered files; rewritten only when one of them changed.
_RECORD = ".rendered.json"
_PACKAGE = Path(__file__).resolve().parents[1]
_STAGING = "models/staging"


class DbtProjectError(TerminalError):
    """The dbt project is missing or cannot be parsed."""


def find_template(settings: Settings) -> Path:
    """The template: `dbt/` beside `platform.yaml`, else that of the checkout or the package.

    Raises:
        DbtProjectError: None of them holds a `dbt_project.yml`.
    """
    places = [settings.root / "dbt", _PACKAGE.parent / "dbt", _PACKAGE / "corpus" / "dbt_template"]
    for place in places:
        if (place / "dbt_project.yml").is_file():
            return place.resolve()
    tried = ", ".join(str(place) for place in places)
    raise DbtProjectError(f"no dbt project: dbt_project.yml is in none of {tried}")


def database_path(project: Path) -> Path:
    """The DuckDB file that a rendered project builds."""
    return project / DATABASE


def render_dbt_project(settings: Settings, *, template: Path) -> Path:
    """Render a ready-to-run dbt project to `dbt/` in the data folder.

    Args:
        settings: The deployment; each of its sources becomes a dbt source and a staging model.
        template: A dbt project; its own `models/staging/stg_<source>.sql` wins over a generated
            one.

    Returns:
        The folder of the rendered project.
    """
    project = settings.data_dir / "dbt"
    project.mkdir(parents=True, exist_ok=True)
    files = _copied(template) | _generated(settings, template, project)
    with FileLock(project / ".render.lock"):
        record = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
        for stale in _recorded(project) - record.keys():
            (project / stale).unlink(missing_ok=True)
        for name, data in files.items():
            _write_if_changed(project / name, data)
        _write_if_changed(project / _RECORD, json.dumps(record, indent=1).encode())
    return project


def ensure_manifest(project: Path) -> Path:
    """`target/manifest.json` of a rendered project, parsed again only when a file changed.

    Needs neither the lake nor a network. Safe to call from several processes at once.

    Raises:
        DbtProjectError: dbt refuses the project; the message is dbt's.
    """
    manifest = project / "target" / "manifest.json"
    parsed = project / "target" / "parsed.json"
    record = (project / _RECORD).read_bytes()
    with FileLock(project / ".parse.lock"):
        if manifest.is_file() and parsed.is_file() and parsed.read_bytes() == record:
            return manifest
        run_dbt(project, "parse")
        parsed.write_bytes(record)
    return manifest


def run_dbt(project: Path, *arguments: str) -> str:
    """Run one dbt command on a rendered project, in a process of its own.

    Returns:
        What dbt printed.

    Raises:
        DbtProjectError: dbt failed (also when a test did); the message is dbt's.
    """
    places = ["--project-dir", str(project), "--profiles-dir", str(project)]
    done = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", *arguments, *places],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DbtProjectError(f"dbt {' '.join(arguments)} of {project} failed:\n{done.stdout}")
    return done.stdout


def _copied(template: Path) -> dict[str, bytes]:
    skipped = {"target", "logs", "dbt_packages"}
    return {
        path.relative_to(template).as_posix(): path.read_bytes()
        for path in sorted(template.rglob("*"))
        if path.is_file() and not skipped & set(path.relative_to(template).parts)
    }


def _generated(settings: Settings, template: Path, project: Path) -> dict[str, bytes]:
    definition = yaml.safe_load((template / "dbt_project.yml").read_text(encoding="utf-8"))
    definition["vars"] = (definition.get("vars") or {}) | {"sources": list(settings.sources)}
    paths = {
        "DBT_DUCKDB_PATH": str(database_path(project)),
        "DBT_MODULE_PATH": str(_PACKAGE.parent),
    }
    profiles = (template / "profiles.yml").read_text(encoding="utf-8")
    for name, path in paths.items():
        profiles = profiles.replace(f"{{{{ env_var('{name}') }}}}", inside_quotes(path))
    own = {path.stem for path in (template / _STAGING).rglob("stg_*.sql")}
    missing = [name for name in settings.sources if f"stg_{name}" not in own]
    texts = {
        "dbt_project.yml": _yaml(definition),
        "profiles.yml": profiles,
        f"{_STAGING}/sources.yml": _yaml(_sources(settings)),
        f"{_STAGING}/generated.yml": _yaml({"models": [_described(name) for name in missing]}),
    }
    for name in missing:
        texts[f"{_STAGING}/stg_{name}.sql"] = staging_sql(name, settings.sources[name].fields)
    return {name: text.encode() for name, text in texts.items()}


def _sources(settings: Settings) -> dict[str, Any]:
    tables = [
        {
            "name": name,
            "description": inert(source.description) or f"Raw rows of source {name}.",
            "config": {"meta": {"dagster": {"asset_key": ["raw", name]}}},
        }
        for name, source in settings.sources.items()
    ]
    raw = {
        "name": "raw",
        "description": "Rows as they landed in the lake, append-only.",
        "schema": "raw",
        "config": {"meta": {"plugin": "lake", "lake_uri": inert(settings.lake_uri)}},
        "tables": tables,
    }
    return {"sources": [raw]}


def _described(name: str) -> dict[str, str]:
    return {
        "name": f"stg_{name}",
        "description": f"Live documents of source {name}, standardised; from platform.yaml.",
    }


def staging_sql(name: str, fields: FieldMapping) -> str:
    """The staging model that a field mapping means: one call of the macro `standardise`."""
    arguments = [
        jinja_string(name),
        f'source("raw", {jinja_string(name)})',
        f"body={_body(name, fields)}",
    ]
    if fields.title is not None:
        arguments.append(f"title={_call('line_of', fields.title)}")
    arguments += [
        f"tenant={_expression(fields.tenant)}",
        f"region={_expression(fields.region)}",
    ]
    if fields.time is not None:
        time = _call("time_of", fields.time)
        arguments.append(f'updated_at="coalesce(event_time, " ~ {time} ~ ")"')
    if fields.deleted is not None:
        arguments.append(f"deleted={_call('truth_of', fields.deleted)}")
    arguments += [
        f"attributes={jinja_dict(fields.attribute_columns)}",
        f"relations={jinja_dict(fields.relations)}",
    ]
    listed = ",\n    ".join(arguments)
    return (
        f"-- Generated from sources.{name}.fields of platform.yaml. To change what it cannot say,\n"
        f"-- put a stg_{name}.sql of your own into the project's dbt/{_STAGING}/.\n"
        f"{{{{ standardise(\n    {listed}\n) }}}}\n"
    )


def _body(name: str, fields: FieldMapping) -> str:
    """The text that is embedded. Where vectors are given, an id stands in for one that is not."""
    text = _call("text_of", fields.text) if fields.text is not None else '"null"'
    if not fields.vectors:
        return text
    doc_id = f'doc_id_of(" ~ {_call("literal", name)} ~ ", key)'
    return f'"coalesce(nullif(" ~ {text} ~ ", \'\'), {doc_id})"'


def _call(macro: str, column: str) -> str:
    return f"{macro}({jinja_string(column)})"


def _expression(field: str | Constant) -> str:
    if isinstance(field, Constant):
        return _call("literal", field.value)
    return _call("identity_of", field)


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False)


def _recorded(project: Path) -> set[str]:
    record = project / _RECORD
    return set(json.loads(record.read_text(encoding="utf-8"))) if record.is_file() else set()


def _write_if_changed(path: Path, data: bytes) -> None:
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)
