"""What a drift sketch sums: features of a content, by a map that is fitted once and kept.

Belongs here: what the features are, and applying the map; `fitting.py` fits it.

Every feature is a function of one content alone, its vector and its text, so sums of them merge
and subtract. They come in groups:

- `components`: principal components of the slice, each of unit variance: topics that move;
- `waves`: random Fourier features (Rahimi and Recht 2007) without what the components explain:
  changes of shape;
- `novelty`: how near the anchors are and how much lies outside the components: contents of a
  kind never seen;
- `text`: length, marks, digits, unseen runs of letters: debris that a model glosses over;
- `topics`, `cells`: which of a few, and of many, centres is nearest, as counts: topics that come
  or go, and what moved;
- `events`: whether a measure is beyond what nearly all of the slice reaches, as counts: not
  tested, they bound the novel share.

Values are rounded to a grid, so that float64 sums of up to 2^34 rows are exact: in whatever order
the same features are added, merged and subtracted, the result is the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
from scipy import special
from threadpoolctl import ThreadpoolController

from vector_platform.quality.sketches.block import Block
from vector_platform.quality.sketches.text_measures import TEXT_MEASURES, measures_of

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.float64]

# Components are tested in groups: a topic stands out in a few of the first, or a little in many.
COMPONENT_GROUPS = (8, 24, 32)
# Novelty looks at the nearest anchor and at the mean of this many: one stray anchor explains
# little.
NEAR = 8
GRID = 2.0**-16
# A value this many standard deviations out says no more by being farther. So one broken row cannot
# own a day, and means of a day's rows are close to Gaussian far into the tail.
CLIP = 3.0
# Rows mapped at a time, padded: a matrix product of one shape gives a row the same bits wherever
# it stands.
_BLOCK = 512
_NOVELTY = ("nearest", "near", "outside")
MEASURES = len(_NOVELTY) + len(TEXT_MEASURES)
# Measures whose high (1) or low (-1) end is an event, and the shares of the slice beyond it.
_EVENTS: tuple[tuple[str, int, tuple[float, ...]], ...] = (
    ("nearest", 1, (0.2, 0.05, 0.01)),
    ("near", 1, (0.2, 0.05, 0.01)),
    ("outside", 1, (0.05, 0.01)),
    ("length", -1, (0.05, 0.01)),
    ("length", 1, (0.01,)),
    ("tags", 1, (0.01,)),
    ("marks", 1, (0.05, 0.01)),
    ("unseen_letters", 1, (0.05, 0.01)),
)


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """A fitted map. All arrays float32.

    Attributes:
        centre: Mean vector of the slice, shape (dimension,).
        components: Scaled principal directions, (dimension, components).
        directions: Random directions in the space of the components, (components, directions).
        phases: One a direction.
        wave_centre: Mean of the raw waves.
        wave_slope: What the components explain of them, (components, directions).
        wave_axes: Their scaled principal directions after that, (directions, waves).
        anchors: Vectors of the slice, (anchors, dimension).
        topics: Centres of few large cells, (topics, dimension).
        cells: Centres of many small ones, (cells, dimension).
        trigrams: 1 for each run of three letters that the slice holds.
        ranks: Sorted values of every novelty and text measure in the slice, (measures, rows).
    """

    centre: Floats
    components: Floats
    directions: Floats
    phases: Floats
    wave_centre: Floats
    wave_slope: Floats
    wave_axes: Floats
    anchors: Floats
    topics: Floats
    cells: Floats
    trigrams: Floats
    ranks: Floats

    @cached_property
    def version(self) -> str:
        """Hash of everything the features depend on."""
        digest = hashlib.sha256()
        for field in fields(self):
            values: Floats = getattr(self, field.name)
            digest.update(f"{field.name}{values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Where each group is among the features."""
        sizes = {
            "components": self.components.shape[1],
            "waves": self.wave_axes.shape[1],
            "novelty": len(_NOVELTY),
            "text": len(TEXT_MEASURES),
            "topics": len(self.topics),
            "cells": len(self.cells),
            "events": len(EVENTS),
        }
        ends = np.cumsum(list(sizes.values())).tolist()
        return {
            name: slice(end - size, end)
            for (name, size), end in zip(sizes.items(), ends, strict=True)
        }

    @cached_property
    def size(self) -> int:
        """Number of features."""
        return int(self.columns["events"].stop)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """What is tested."""
        columns = self.columns
        measures = _scores(self._places(self.ranks.T))
        spreads = tuple(measures.var(axis=0).tolist())
        ends = np.cumsum(COMPONENT_GROUPS)
        parts = [
            Block(
                "components",
                slice(int(end - size), min(int(end), columns["components"].stop)),
                "joint",
            )
            for size, end in zip(COMPONENT_GROUPS, ends, strict=True)
            if end - size < columns["components"].stop
        ]
        return (
            *parts,
            Block("waves", columns["waves"], "joint"),
            Block("novelty", columns["novelty"], "single", spreads[: len(_NOVELTY)]),
            Block("text", columns["text"], "single", spreads[len(_NOVELTY) :]),
            Block("topics", columns["topics"], "count"),
            Block("cells", columns["cells"], "count"),
        )

    def __call__(self, vectors: Floats, texts: Sequence[str]) -> Floats:
        """Features, shape (rows, features).

        Args:
            vectors: Shape (rows, dimension).
            texts: What the model read, one a row.
        """
        rows = len(vectors)
        if rows == 0:
            return np.empty((0, self.size), np.float32)
        padded = np.zeros((-(-rows // _BLOCK) * _BLOCK, len(self.centre)), np.float32)
        padded[:rows] = vectors
        blocks = (padded[at : at + _BLOCK] for at in range(0, rows, _BLOCK))
        # A processor for each block, not all of them for each product: that is sooner, and gives
        # the same bytes however many there are.
        one_thread = _libraries().limit(limits=1, user_api="blas")
        with one_thread, ThreadPoolExecutor(os.cpu_count()) as pool:
            measured = pool.submit(measures_of, texts, self.trigrams > 0)
            parts = list(pool.map(self._of_block, blocks))
        linear, novelty, nearest = (
            np.concatenate(part)[:rows] for part in zip(*parts, strict=True)
        )
        places = self._places(np.hstack([novelty, measured.result()]))
        out = np.zeros((rows, self.size), np.float32)
        counted = self.columns["topics"].start
        values = np.hstack([np.clip(linear, -CLIP, CLIP), _scores(places)])
        values /= GRID
        out[:, :counted] = np.rint(values, out=values) * GRID
        out[np.arange(rows)[:, None], nearest + counted] = 1
        out[:, self.columns["events"]] = _events(places)
        return out

    def _of_block(self, vectors: Floats) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
        """Components and waves; novelty; the nearest topic and cell, the cells after the topics."""
        centred = vectors - self.centre
        components = np.asarray(centred @ self.components, np.float32)
        waves = np.cos(components @ self.directions + self.phases) - self.wave_centre
        left = (waves - components @ self.wave_slope) @ self.wave_axes
        topic = (vectors @ self.topics.T).argmax(axis=1)
        cell = (vectors @ self.cells.T).argmax(axis=1) + len(self.topics)
        return (
            np.hstack([components, left]),
            self.novelty(vectors, centred, components),
            np.stack([topic, cell], axis=1),
        )

    def novelty(self, vectors: Floats, centred: Floats, components: Floats) -> Floats:
        """How far each row is from the anchors, and how much of it lies outside the components."""
        near = min(NEAR, len(self.anchors))
        similar = -np.partition(-(vectors @ self.anchors.T), near - 1, axis=1)[:, :near]
        # Directions are scaled by 1 / standard deviation; their length gives the scale back.
        inside = components / np.linalg.norm(self.components, axis=0)
        outside = np.square(centred).sum(axis=1) - np.square(inside).sum(axis=1)
        return np.stack(
            [
                1 - similar.max(axis=1),
                1 - similar.mean(axis=1),
                np.sqrt(np.maximum(outside, 0)),
            ],
            axis=1,
        )

    def _places(self, measures: Floats) -> Places:
        """Where in the slice each measure is, from 0 to 1; a tie is in the middle of its equals.

        Their normal scores are close to Gaussian whatever the measure's own distribution.
        """
        places = np.empty(measures.shape)
        for at, ranks in enumerate(self.ranks):
            below = np.searchsorted(ranks, measures[:, at], "left")
            upto = np.searchsorted(ranks, measures[:, at], "right")
            places[:, at] = (below + upto + 1) / (2 * len(ranks) + 2)
        return places


@cache
def _libraries() -> ThreadpoolController:
    """The libraries whose threads can be limited: looking for them takes 5 ms each time."""
    return ThreadpoolController()


# What each event says, in the order of the features.
EVENTS = tuple(
    f"{name} {'above' if sign > 0 else 'below'} all but {share:.0%}"
    for name, sign, shares in _EVENTS
    for share in shares
)
# What debris of an ingest does to a text, and a new topic does not.
MARKUP = EVENTS.index("tags above all but 1%")


def _scores(places: Places) -> Places:
    """Normal scores of places, cut off far out."""
    return np.asarray(np.clip(special.ndtri(places), -CLIP, CLIP))


def _events(places: Places) -> npt.NDArray[np.bool_]:
    names = (*_NOVELTY, *TEXT_MEASURES)
    return np.stack(
        [
            places[:, names.index(name)] > 1 - share
            if sign > 0
            else places[:, names.index(name)] < share
            for name, sign, shares in _EVENTS
            for share in shares
        ],
        axis=1,
    )
