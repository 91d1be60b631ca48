"""What people see when they launch a job: fields described, choices offered, nobody named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dagster import DagsterInvalidConfigError, validate_run_config

from vector_platform.orchestration.build import build_definitions
from vector_platform.settings import Settings

# A person may compare without deciding anything.
MAY_COMPARE = {"adopt_index"}

# Fields that name one of a set which is known when definitions load, by their last name.
CLOSED = {"backends": "backend", "backend": "backend"} | {
    "migrate_index.source": "backend",
    "migrate_index.target": "backend",
    "quarantine_slice.slices.source": "source",
}
# Fields that name one of a set which may grow beside loaded definitions.
OPEN = {"model_version", "model_versions", "old", "new"}


def fields_of(settings: Settings) -> Iterator[tuple[str, Any]]:
    """`job.field` and field of everything that a launchpad asks for, nested ones, too."""
    definitions = build_definitions(settings=settings)
    for job in definitions.jobs or []:
        resolved = definitions.resolve_job_def(str(job.name))
        for node in resolved.nodes:
            schema = getattr(node.definition, "config_schema", None)
            yield from _below(str(job.name), schema.config_type if schema else None)


def _below(name: str, config_type: Any) -> Iterator[tuple[str, Any]]:
    for field_name, field in (getattr(config_type, "fields", None) or {}).items():
        yield f"{name}.{field_name}", field
        yield from _below(f"{name}.{field_name}", _one(field.config_type))


def _one(config_type: Any) -> Any:
    """The type of one value: that of a list, or of what may be left empty."""
    while (inner := getattr(config_type, "inner_type", None)) is not None:
        config_type = inner
    return config_type


def choices(field: Any) -> list[str]:
    return [one.config_value for one in getattr(_one(field.config_type), "enum_values", [])]


def test_every_field_of_every_launchpad_is_described_and_names_nobody(settings: Settings) -> None:
    found = dict(fields_of(settings))
    assert len({name.partition(".")[0] for name in found}) >= 20
    assert [name for name, field in found.items() if not field.description] == []
    reasons = {name: field for name, field in found.items() if name.endswith(".reason")}
    actors = {name: field for name, field in found.items() if name.endswith(".actor")}
    assert len(reasons) == len(actors) >= 10
    for name, field in reasons.items():
        may_compare = name.partition(".")[0] in MAY_COMPARE
        assert field.is_required is not may_compare, f"{name}: somebody has to say why"
    for name, field in actors.items():
        assert not field.is_required and field.default_value == "", name


def test_what_names_a_thing_of_the_deployment_is_a_choice_or_says_which_there_are(
    settings: Settings,
) -> None:
    sets = {"backend": list(settings.indexes.backends), "source": ["", *settings.sources]}
    found = dict(fields_of(settings))
    offered = {name: values for name, field in found.items() if (values := choices(field))}
    wanted = {
        name: sets[kind]
        for name in found
        if (kind := CLOSED.get(name) or CLOSED.get(name.rpartition(".")[2]))
    }
    assert offered == wanted and len(wanted) >= 9
    said = {name: f.description for name, f in found.items() if name.rpartition(".")[2] in OPEN}
    assert len(said) >= 10
    for name, description in said.items():
        assert all(model in description for model in settings.active_models), name
    # What is said to name backends or sources offers them.
    kinds = ("hich backends", "ackend that", "ackend to", "ame of the source")
    named = {name for name, f in found.items() if any(kind in f.description for kind in kinds)}
    assert named == set(wanted)


@pytest.mark.parametrize(
    ("job", "config", "told"),
    [
        ("verify_index", {"verify": {"backends": ["milvsu"]}}, "milvus.*milvsu"),
        (
            "quarantine_slice",
            {"quarantine": {"reason": "r", "slices": [{"source": "x"}]}},
            "guides.*x",
        ),
        ("promote", {"promote_op": {}}, '"reason"'),
        ("approve_release", {"approve_op": {}}, "reason.*request_id"),
    ],
    ids=["a backend", "a source in a list", "no reason", "no request and no reason"],
)
def test_a_wrong_choice_and_a_missing_field_are_refused_by_name_before_a_run_begins(
    settings: Settings, job: str, config: dict[str, Any], told: str
) -> None:
    definition = build_definitions(settings=settings).resolve_job_def(job)
    given = {"ops": {op: {"config": values} for op, values in config.items()}}
    with pytest.raises(DagsterInvalidConfigError, match=f"(?s){told}"):
        validate_run_config(definition, given)
