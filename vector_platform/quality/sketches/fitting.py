"""Fitting the feature map of drift sketches on a calibration slice.

Belongs here: components, waves, anchors and centres, and the ranks of the measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vector_platform.quality.sketches.feature_map import (
    COMPONENT_GROUPS,
    FeatureMap,
    Floats,
    Places,
)
from vector_platform.quality.sketches.text_measures import measures_of, seen_in

# Fewer calibration rows than this leave the components to chance.
MIN_CALIBRATION = 100
DIRECTIONS = 128
WAVES = 16
ANCHORS = 512
TOPICS = 12
CELLS = 48


def fit(vectors: Floats, texts: Sequence[str], *, seed: int = 0) -> FeatureMap:
    """Fit a map on a calibration slice.

    Anchors, centres and letters come from the first two thirds; measures are ranked in the rest,
    to which the anchors are as strange as to any content to come.

    Args:
        vectors: Vectors of the slice in an order that is as good as random, at least
            `MIN_CALIBRATION`.
        texts: What the model read, one a row.
        seed: Of directions and centres.
    """
    rng = np.random.default_rng(seed)
    vectors = np.asarray(vectors, np.float32)
    most = 2 * len(vectors) // 3
    centre = vectors.mean(axis=0)
    centred = vectors - centre
    count = min(sum(COMPONENT_GROUPS), len(vectors) // 3, vectors.shape[1])
    axes, spread = _principal(centred, count)
    components = np.asarray(axes / spread, np.float32)
    scores = centred @ components
    directions = rng.standard_normal((count, DIRECTIONS)) / np.sqrt(2 * count)
    phases = rng.uniform(0, 2 * np.pi, DIRECTIONS)
    waves = np.cos(scores @ directions + phases)
    slope = scores.T @ (waves - waves.mean(axis=0)) / len(scores)
    wave_axes, wave_spread = _principal(waves - waves.mean(axis=0) - scores @ slope, WAVES)
    unranked = FeatureMap(
        centre=centre,
        components=components,
        directions=directions.astype(np.float32),
        phases=phases.astype(np.float32),
        wave_centre=waves.mean(axis=0).astype(np.float32),
        wave_slope=slope.astype(np.float32),
        wave_axes=np.asarray(wave_axes / wave_spread, np.float32),
        anchors=vectors[:most][:ANCHORS],
        topics=_centres(vectors[:most], TOPICS, seed),
        cells=_centres(vectors[:most], CELLS, seed),
        trigrams=seen_in(texts[:most]).astype(np.float32),
        ranks=np.empty((0, 0), np.float32),
    )
    novelty = unranked.novelty(vectors[most:], centred[most:], scores[most:])
    measures = np.hstack([novelty, measures_of(texts[most:], unranked.trigrams > 0)])
    return replace(unranked, ranks=np.sort(measures.T).astype(np.float32))


def _centres(vectors: Floats, count: int, seed: int) -> Floats:
    """Unit centres of cells that hold ten rows or more on average."""
    from sklearn.cluster import KMeans

    cells = KMeans(max(2, min(count, len(vectors) // 10)), n_init=1, random_state=seed)
    centres = cells.fit(vectors).cluster_centers_
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    return np.asarray(centres / np.maximum(lengths, 1e-12), np.float32)


def _principal(centred: Places | Floats, count: int) -> tuple[Floats, Floats]:
    """The first principal axes, and the standard deviation along each."""
    # The transpose is copied: a product of one array with itself takes another path of the BLAS,
    # which crashes on some machines for many float64 rows.
    variances, axes = np.linalg.eigh(centred.T.copy() @ centred / len(centred))
    variances, axes = variances[::-1][:count], axes[:, ::-1][:, :count]
    # Where nothing varies there is nothing to scale up.
    return axes, np.sqrt(np.maximum(variances, 1e-6 * max(float(variances[0]), 1e-12)))
