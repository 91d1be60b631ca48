"""Story 2: the embedding model is swapped behind its name, where its fingerprint sees nothing.

The canaries see it before the first vector. Writes stop, readers keep the good index, and what the
model is now is proposed under a name of its own.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from vector_platform.demo.story import (
    CANARIES,
    GOLDEN,
    PARITY,
    Story,
    land,
    live_generation,
    newest_index,
    vectors,
)
from vector_platform.demo.stream import Stream
from vector_platform.demo.watcher import Watcher
from vector_platform.demo.world import MODEL, World
from vector_platform.models.identity.origins import find_weights
from vector_platform.releases.requests.requests import ReleaseRequests
from vector_platform.settings import Model

# Noise of this share of a weight's size: what a careless conversion of weights does.
NOISE = 0.05


def _prepare_model(world: World, stream: Stream) -> None:
    package = Model(package="wordllama", kind="static", max_tokens=512)
    cache = world.settings.data_dir / "models"
    weights = find_weights(MODEL, package, cache_dir=cache, root=world.folder)
    shutil.copytree(weights, world.folder / "model")
    tickets = [ticket for day in stream.days(5) for ticket in day.tickets]
    world.land("reference", tickets)
    world.ask(tickets[::2])


def _model_is_swapped(world: World, watcher: Watcher, stream: Stream) -> None:
    (day,) = stream.days(1)
    since = land(world, watcher, day, "a day like the others")
    good = watcher.check(CANARIES, "the canaries are asked", since=since)
    watcher.expect(good.passed is True, "the model answers as registered")
    watcher.check(PARITY, "the index follows", since=since)
    watcher.rest()

    before = (vectors(watcher), newest_index(watcher), live_generation(watcher))
    swap_weights(world.folder / "model" / "model.safetensors")
    (day,) = stream.days(1)
    since = land(world, watcher, day, "the weights were swapped: same name, size and date")
    bad = watcher.check(CANARIES, "the canaries are asked", since=since)
    watcher.expect(bad.passed is False, "the canaries fail")
    watcher.expect(bool(bad.facts["fingerprint_matches"]), "the fingerprint sees nothing")
    watcher.decision(
        "act",
        "a sensor acts on the changed model",
        since=since,
        where=lambda found: found.before == "model_changed",
    )
    request = watcher.decision("request", "a new model version is proposed", since=since)
    watcher.rest()
    after = (vectors(watcher), newest_index(watcher), live_generation(watcher))
    watcher.expect(after == before, f"lake and index of {MODEL} are as before the swap")
    proposed = ReleaseRequests(watcher.lake).get(request.subject)
    watcher.expect(proposed.open, "the proposal waits for somebody's approval")
    watcher.tell(f"{proposed.model_version} waits: {proposed.waits_for}")
    watcher.tell(f"{MODEL} stays live and holds no swapped vector")


def swap_weights(path: Path) -> None:
    """Replace weights by slightly wrong ones of the same size and date.

    The platform remembers hashes of files by size and date, as build tools do, so the fingerprint
    stays what it was. Images whose files all carry the date of a release do this to everybody.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    dated = path.stat()
    weights = load_file(path)["embedding.weight"]
    noise = np.random.default_rng(0).standard_normal(weights.shape, dtype=np.float32)
    save_file({"embedding.weight": weights + NOISE * weights.std() * noise}, path)
    os.utime(path, ns=(dated.st_atime_ns, dated.st_mtime_ns))


SWAPPED_MODEL = Story(
    "the embedding model is swapped behind its name",
    {
        "models": {MODEL: {"path": "model", "kind": "static", "max_tokens": 512}},
        "golden_queries": GOLDEN,
        "releases": {"approvers": ["model-owner"], "bake_minutes": 0},
    },
    _prepare_model,
    _model_is_swapped,
)
