"""What people see when they launch a job: every field described, nobody's name and no reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vector_platform.orchestration.build import build_definitions
from vector_platform.settings import Settings

# A person may compare without deciding anything.
MAY_COMPARE = {"adopt_index"}


def fields_of(settings: Settings) -> Iterator[tuple[str, str, Any]]:
    """Job, name and field of everything that a launchpad asks for."""
    definitions = build_definitions(settings=settings)
    for job in definitions.jobs or []:
        resolved = definitions.resolve_job_def(str(job.name))
        for node in resolved.nodes:
            schema = getattr(node.definition, "config_schema", None)
            fields = getattr(schema.config_type if schema else None, "fields", None) or {}
            for name, field in fields.items():
                yield str(job.name), name, field


def test_every_field_of_every_launchpad_is_described_and_names_nobody(settings: Settings) -> None:
    found = list(fields_of(settings))
    assert len({job for job, _, _ in found}) >= 10
    assert [f"{job}.{name}" for job, name, field in found if not field.description] == []
    for job, name, field in found:
        if name == "reason" and job not in MAY_COMPARE:
            assert field.is_required, f"{job}: somebody has to say why"
        if name == "actor":
            assert not field.is_required and field.default_value == "", job
