"""Which settings make another index: those that change what is stored, and no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from vector_platform.indexes.registry import BACKENDS, registered, settings_model
from vector_platform.indexes.state import GenerationState
from vector_platform.lake.contract import canonical_json
from vector_platform.releases.evaluation.measuring import change_of
from vector_platform.settings import STORED, TUNING, BackendSection
from vector_platform.wiring import Platform

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECTIONS: dict[str, type[BackendSection]] = {
    backend: registered(backend).section for backend in BACKENDS
}
# As specs were recorded when every setting but the address was part of them.
RECORDED: dict[str, dict[str, Any]] = {
    "milvus": {
        "database": "default",
        "index_type": "HNSW",
        "index_params": {},
        "search_params": {},
        "partitions": 16,
        "batch_rows": 1000,
        "max_parallel_requests": 2,
    },
    "pinecone": {
        "cloud": "aws",
        "region": "us-east-1",
        "batch_rows": 200,
        "max_parallel_requests": 4,
        "verify_fetch_share": 1.0,
    },
}


def spec_of(backend: str, **values: Any) -> str:
    settings = settings_model()
    indexes = settings.model_fields["indexes"].annotation
    assert indexes is not None
    platform = Platform(settings.model_construct(indexes=indexes.model_validate({backend: values})))
    return platform.index_spec(backend)


def generation(backend: str, spec: str) -> GenerationState:
    return GenerationState(
        backend, "documents", "g0001", "m", "f", 4, "proven", None, 0, spec, "run", NOW, NOW
    )


def test_every_setting_of_a_backend_says_whether_it_makes_another_index() -> None:
    assert set(BACKENDS) == set(RECORDED), "a backend without a case in this file"
    for section in SECTIONS.values():
        for name, field in section.model_fields.items():
            marks = [mark for mark in field.metadata if mark in (STORED, TUNING)]
            assert len(marks) == 1, f"{section.__name__}.{name}: mark it STORED or TUNING"


@pytest.mark.parametrize(
    ("backend", "setting", "other"),
    [
        ("milvus", "uri", "http://elsewhere:19530"),
        ("milvus", "search_params", {"ef": 500}),
        ("milvus", "batch_rows", 17),
        ("milvus", "max_parallel_requests", 9),
        ("pinecone", "host", "cloud"),
        ("pinecone", "batch_rows", 17),
        ("pinecone", "max_parallel_requests", 9),
        ("pinecone", "verify_fetch_share", 0.2),
    ],
)
def test_client_tuning_does_not_make_another_index(
    backend: str, setting: str, other: object
) -> None:
    tuned = generation(backend, spec_of(backend, **{setting: other}))
    assert change_of(tuned, generation(backend, spec_of(backend))) == "rebuild"


@pytest.mark.parametrize(
    ("backend", "setting", "other"),
    [
        ("milvus", "database", "other"),
        ("milvus", "index_type", "IVF_FLAT"),
        ("milvus", "index_params", {"M": 32}),
        ("milvus", "partitions", 4),
        ("pinecone", "cloud", "gcp"),
        ("pinecone", "region", "eu-west-1"),
    ],
)
def test_what_is_stored_in_another_way_is_another_index(
    backend: str, setting: str, other: object
) -> None:
    built = generation(backend, spec_of(backend, **{setting: other}))
    assert change_of(built, generation(backend, spec_of(backend))) == "index_spec"


@pytest.mark.parametrize("backend", sorted(RECORDED))
def test_a_generation_recorded_with_its_tuning_does_not_look_changed(backend: str) -> None:
    tuned = RECORDED[backend] | {"batch_rows": 7}
    live = generation(backend, canonical_json(tuned))
    assert change_of(generation(backend, spec_of(backend)), live) == "rebuild"
    differing = replace(live, spec=canonical_json(tuned | {"index_type": "FLAT", "region": "x"}))
    assert change_of(generation(backend, spec_of(backend)), differing) == "index_spec"
