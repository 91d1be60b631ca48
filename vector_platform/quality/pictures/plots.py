"""Small pictures for asset metadata: PNG bytes, and the markdown that shows them.

Belongs here: drawing numbers that were measured elsewhere. Matplotlib is imported when something
is drawn, and draws off screen without global state.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vector_platform.quality.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]

# Points drawn of each side: more make a bigger file and no clearer picture.
MAX_POINTS = 600
DOTS_PER_INCH = 80
LINE_COLOURS = ("#9aa5b1", "#74c0fc", "#4c6ef5", "#5f3dc4", "#212529")


def as_markdown(png: bytes, alt: str = "") -> str:
    """A PNG as a markdown image with its bytes inside, so that metadata needs no file."""
    return f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})"


def projection(reference: Floats, current: Floats, *, title: str = "") -> bytes:
    """Reference and current vectors on the two principal axes of the reference.

    Args:
        reference: Shape (rows, dimension).
        current: Same dimension.
        title: Above the picture.

    Returns:
        PNG bytes. The axes come from the reference alone, so pictures of successive runs
        compare; their signs are fixed by the largest coefficient.
    """
    centre = reference.mean(axis=0)
    spread = reference[:2000] - centre
    _, _, axes = np.linalg.svd(spread, full_matrices=False)
    axes = axes[:2]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    figure, plot = canvas(4.8, 3.6)
    for rows, colour, label in (
        (reference, "#9aa5b1", "reference"),
        (current, "#d9480f", "current"),
    ):
        points = (rows[:: max(1, len(rows) // MAX_POINTS)][:MAX_POINTS] - centre) @ axes.T
        plot.scatter(
            points[:, 0], points[:, -1], s=5, c=colour, alpha=0.6, label=label, linewidths=0
        )
    plot.legend(frameon=False, fontsize=8)
    plot.set_title(title, fontsize=9)
    return _png(figure)


def score_timeline(
    days: Sequence[date], scores: Mapping[str, Numbers], *, threshold: float, title: str = ""
) -> bytes:
    """A statistic day by day, one line a window, with the threshold of the year.

    Args:
        days: When.
        scores: Name of a line -> its values.
        threshold: From where it alarms.
        title: Above the picture.
    """
    figure, plot = canvas(6.4, 2.8)
    # Matplotlib counts dates in days from 1970-01-01.
    when = [float((day - date(1970, 1, 1)).days) for day in days]
    for (name, values), colour in zip(scores.items(), LINE_COLOURS, strict=False):
        plot.plot(when, values, color=colour, label=name, linewidth=1.2, marker=".", markersize=3)
    plot.axhline(threshold, color="#d9480f", linestyle="--", linewidth=1)
    plot.text(when[0], threshold, "alarm", color="#d9480f", fontsize=8, va="bottom")
    plot.xaxis_date()
    plot.set_ylabel("-log10 p", fontsize=8)
    plot.set_ylim(bottom=0)
    plot.tick_params(axis="x", rotation=30)
    plot.legend(frameon=False, fontsize=7, ncols=len(scores))
    plot.set_title(title, fontsize=9)
    return _png(figure)


def metric_bars(estimates: Mapping[str, Estimate], *, metric: str) -> bytes:
    """One bar a model with its interval.

    Args:
        estimates: Model version -> estimate.
        metric: Name on the axis.
    """
    figure, plot = canvas(4.8, 0.9 + 0.45 * len(estimates))
    names = list(estimates)
    means = np.array([estimates[name].mean for name in names])
    below = means - [estimates[name].low for name in names]
    above = [estimates[name].high for name in names] - means
    plot.barh(names, means, xerr=np.clip([below, above], 0, None), color="#4c6ef5", height=0.6)
    for row, mean in enumerate(means):
        plot.text(0.01, row, f"{mean:.3f}", va="center", color="white", fontsize=8)
    plot.invert_yaxis()
    plot.set_xlim(0, 1)
    plot.set_xlabel(f"{metric}, 95 % interval", fontsize=8)
    return _png(figure)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty picture in the style of all of them, so many inches wide and high."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    plot = figure.add_subplot()
    plot.tick_params(labelsize=8)
    plot.spines[["top", "right"]].set_visible(False)
    return figure, plot


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without the version of the library in it, the same picture is the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
