"""A deployment to ask releases of, and the words of its tests."""

from __future__ import annotations

from typing import Any

from vector_platform.indexes.state import GenerationState
from vector_platform_tests.releases.deployment import Deployment

TEAM: dict[str, Any] = {"approvers": ["ann", "bob", "cat"]}

FROZEN: dict[str, Any] = {"freezes": [{"name": "audit", "first_day": "2020-01-01"}]}


def rebuilt(world: Deployment) -> GenerationState:
    return world.sync().build("old.v1").generation


def another_model(world: Deployment, quality: float = 0.02) -> GenerationState:
    """A generation of `new.v1` that answers better or worse than the live model."""
    state = world.sync().sync("new.v1").generation
    world.evaluate("old.v1", *[0.5, 0.52] * 200)
    world.evaluate("new.v1", *[0.5 + quality, 0.52 + quality] * 200)
    return state


def whats(world: Deployment) -> list[tuple[str, str]]:
    return [(d.what, d.actor) for d in world.service().store.decisions.about()]


def live(world: Deployment) -> str:
    return world.pointer().live_generation().generation
