"""The pictures of checks: what was measured, beside the line that it is held to.

Belongs here: drawing what a check has measured, in the style of `plots.py`. Each picture is 640
pixels wide, which the Dagster UI shows unscaled, and some 5 to 10 kB: what is drawn is bounded,
whatever was measured.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vector_platform.quality.pictures.plots import canvas
from vector_platform.quality.recall.index_recall import SliceRecall
from vector_platform.quality.recall.intervals import Recall
from vector_platform.quality.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.0
ALARM, WELL, QUIET = "#d9480f", "#4c6ef5", "#9aa5b1"
KIND_COLOURS = (ALARM, "#f08c00", "#5f3dc4", "#1098ad", QUIET)
# Slices, tenants or rules in one picture: the worst ones.
MAX_BARS = 12
COLOURS = 64
# A difference of 0 has no logarithm. This is below any that float32 leaves.
LEAST_DIFFERENCE = 1e-9
LONGEST_NAME = 42
# In days, as dates on an axis are.
_SECOND = 1 / 86_400


def canary_distances(
    distances: Sequence[float], groups: Sequence[str], *, tolerance: float, title: str
) -> bytes:
    """How far each canary's vector is from the registered one, on a logarithmic axis.

    Args:
        distances: Largest difference of a component of each canary.
        groups: Name of the group of each, in the same order; members stand together.
        tolerance: From where a difference is a change.
        title: Above the picture.
    """
    figure, plot = canvas(WIDTH, 3.2)
    shown = np.maximum(np.array(distances, np.float64), LEAST_DIFFERENCE)
    places = np.arange(len(shown))
    colours = [ALARM if distance > tolerance else WELL for distance in shown]
    plot.vlines(places, LEAST_DIFFERENCE, shown, colors=colours, linewidth=1)
    plot.scatter(places, shown, c=colours, s=16, zorder=3)
    _logarithmic(plot)
    plot.set_ylim(LEAST_DIFFERENCE / 2, max(2.0, float(shown.max())) * 3)
    _threshold(plot, tolerance, f"tolerance\n{tolerance:.1g}")
    names = list(groups)
    starts = [at for at in range(len(names)) if at == 0 or names[at] != names[at - 1]]
    for start in starts[1:]:
        plot.axvline(start - 0.5, color=QUIET, linewidth=0.6, linestyle=":")
    middles = [
        (start + end - 1) / 2 for start, end in zip(starts, [*starts[1:], len(names)], strict=True)
    ]
    plot.set_xticks(middles, [names[start] for start in starts])
    plot.tick_params(axis="x", length=0)
    plot.set_ylabel("largest difference of a\ncomponent (0: at 1e-9)", fontsize=8)
    plot.set_title(title, fontsize=9, loc="left")
    return _small_png(figure)


def recall_bars(slices: Sequence[SliceRecall], *, floor: float, k: int, title: str) -> bytes:
    """Recall of each slice with its interval beside the floor, the worst ones first.

    Args:
        slices: Worst first.
        floor: Least recall that is accepted.
        k: Neighbours.
        title: Above the picture.
    """
    shown = list(slices[:MAX_BARS])
    figure, plot = canvas(WIDTH, 1.1 + 0.3 * len(shown))
    places = np.arange(len(shown))
    means = np.array([each.recall.mean for each in shown])
    reach = [
        means - [each.recall.low for each in shown],
        [each.recall.high for each in shown] - means,
    ]
    colours = [ALARM if each.below else WELL if each.judged else QUIET for each in shown]
    plot.barh(places, means, color=colours, height=0.62)
    plot.errorbar(
        means, places, xerr=np.clip(reach, 0, None), fmt="none", ecolor="#212529", capsize=2
    )
    for place, each in enumerate(shown):
        label = f"{each.recall.mean:.3f}  n={each.recall.queries}"
        plot.text(0.01, place, label, va="center", color="white", fontsize=8)
    plot.set_yticks(places, [_cut(each.name) for each in shown])
    plot.invert_yaxis()
    plot.set_xlim(0, 1.005)
    plot.axvline(floor, color=ALARM, linestyle="--", linewidth=1)
    plot.set_xlabel(
        f"recall@{k}, 95 % interval; dashed: floor {floor:g}; grey: too few to judge", fontsize=8
    )
    plot.set_title(title, fontsize=9, loc="left")
    return _small_png(figure)


def recall_curves(curves: Mapping[str, Sequence[Recall]], *, floor: float, title: str) -> bytes:
    """Recall@1 to recall@k, one line a slice with its band, beside the floor.

    Args:
        curves: Name of a line -> its recalls, from k = 1.
        floor: Least recall that is accepted at the last k.
        title: Above the picture.
    """
    figure, plot = canvas(WIDTH, 2.8)
    for (name, recalls), colour in zip(curves.items(), (WELL, ALARM), strict=False):
        ks = np.arange(1, len(recalls) + 1)
        plot.plot(ks, [each.mean for each in recalls], color=colour, marker="o", markersize=3)
        low, high = [each.low for each in recalls], [each.high for each in recalls]
        plot.fill_between(ks, low, high, color=colour, alpha=0.15, linewidth=0)
        plot.plot([], [], color=colour, label=_cut(name))
    _threshold(plot, floor, f"floor\n{floor:g}")
    lowest = min((each.low for recalls in curves.values() for each in recalls), default=0.0)
    plot.set_ylim(max(0.0, min(lowest, floor) - 0.1), 1.02)
    plot.set_xticks(np.arange(1, max(len(recalls) for recalls in curves.values()) + 1))
    plot.set_xlabel("k: neighbours asked for", fontsize=8)
    plot.set_ylabel("recall@k, 95 % band", fontsize=8)
    plot.legend(frameon=False, fontsize=8, loc="lower left")
    plot.set_title(title, fontsize=9, loc="left")
    return _small_png(figure)


def time_line(
    times: Sequence[datetime],
    lines: Mapping[str, Sequence[float]],
    *,
    threshold: float,
    threshold_name: str,
    measured: str,
    title: str,
    marks: Mapping[datetime, str] | None = None,
    logarithmic: bool = False,
) -> bytes:
    """A statistic over past evaluations, with the line that it is held to.

    Args:
        times: When, oldest first.
        lines: Name of a line -> its values.
        threshold: The line.
        threshold_name: Its name.
        measured: Name of the axis.
        title: Above the picture.
        marks: Moments to be named: another generation, say.
        logarithmic: Whether the axis is.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    figure, plot = canvas(WIDTH, 2.6)
    when = [_days(time) for time in times]
    for (name, values), colour in zip(lines.items(), (WELL, ALARM), strict=False):
        shown = np.maximum(values, LEAST_DIFFERENCE) if logarithmic else np.array(values)
        plot.plot(when, shown, color=colour, label=name, linewidth=1.2, marker=".", markersize=5)
    if logarithmic:
        _logarithmic(plot)
        highest = max(threshold, *(max(values) for values in lines.values()))
        plot.set_ylim(LEAST_DIFFERENCE / 2, 10 * highest)
    for time, name in (marks or {}).items():
        plot.axvline(_days(time), color=QUIET, linewidth=0.8, linestyle=":")
        plot.annotate(
            name, (_days(time), 1), xycoords=("data", "axes fraction"), fontsize=7,
            color="#495057", va="bottom", ha="center",
        )  # fmt: skip
    _threshold(plot, threshold, threshold_name)
    locator = AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]
    plot.xaxis.set_major_locator(locator)
    concise = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    plot.xaxis.set_major_formatter(concise)
    plot.margins(x=0.04, y=0.15)
    if max(when) - min(when) < _SECOND:  # an axis of no length has no place for a date
        plot.set_xlim(min(when) - 30 * _SECOND, max(when) + 30 * _SECOND)
    plot.set_ylabel(measured, fontsize=8)
    plot.set_xlabel("time of the evaluation (UTC)", fontsize=8)
    plot.xaxis.get_offset_text().set_fontsize(8)
    if len(lines) > 1:
        plot.legend(frameon=False, fontsize=7, ncols=len(lines), loc="lower left")
    # Names of marks stand between the title and the axes.
    plot.set_title(title, fontsize=9, loc="left", pad=14 if marks else 6)
    return _small_png(figure)


def paired_differences(
    differences: npt.NDArray[np.float64], mean: Estimate, *, margin: float, metric: str, title: str
) -> bytes:
    """The difference of each query, sorted, with the mean, its interval and the margin.

    Args:
        differences: Now minus the champion's record, one a query.
        mean: Their mean.
        margin: Largest loss of the mean that counts as none.
        metric: What was measured.
        title: Above the picture.
    """
    figure, plot = canvas(WIDTH, 3.0)
    ranked = np.sort(differences)
    for lost, colour in ((True, ALARM), (False, WELL)):
        heights = np.where((ranked < 0) == lost, ranked, 0)
        plot.fill_between(np.arange(len(ranked)), heights, step="mid", color=colour, linewidth=0)
    plot.axhline(0, color="#212529", linewidth=0.6)
    plot.axhspan(mean.low, mean.high, color="#212529", alpha=0.15, linewidth=0)
    plot.axhline(mean.mean, color="#212529", linewidth=1)
    label = f"mean {mean.mean:+.3f} [{mean.low:+.3f}, {mean.high:+.3f}]"
    plot.text(0.99, 0.06, label, fontsize=8, ha="right", transform=plot.transAxes)
    _threshold(plot, -margin, f"margin\n-{margin:g}")
    plot.set_xlim(-0.5, len(ranked) - 0.5)
    plot.set_xlabel(f"{len(ranked)} golden queries, the largest loss first", fontsize=8)
    plot.set_ylabel(f"{metric}: now - record", fontsize=8)
    plot.set_title(title, fontsize=9, loc="left")
    return _small_png(figure)


def stacked_counts(counts: Mapping[str, Mapping[str, int]], *, measured: str, title: str) -> bytes:
    """One bar a name, made of the counts of each kind; the largest ones first.

    Args:
        counts: Name -> kind -> rows.
        measured: Name of the axis.
        title: Above the picture.
    """
    from matplotlib.ticker import MaxNLocator

    ranked = sorted(counts, key=lambda name: (-sum(counts[name].values()), name))
    shown = ranked[:MAX_BARS]
    figure, plot = canvas(WIDTH, 1.4 + 0.3 * len(shown))
    places = np.arange(len(shown))
    before = np.zeros(len(shown))
    kinds = list(dict.fromkeys(kind for name in shown for kind in counts[name]))
    for kind, colour in zip(kinds, KIND_COLOURS * 3, strict=False):
        rows = np.array([counts[name].get(kind, 0) for name in shown], np.float64)
        plot.barh(places, rows, left=before, color=colour, height=0.62, label=kind)
        before += rows
    for place, total in enumerate(before):
        plot.text(total, place, f" {int(total):,}", va="center", fontsize=8)
    plot.set_yticks(places, [_cut(name) for name in shown])
    plot.invert_yaxis()
    plot.set_xlim(0, 1.08 * before.max())
    plot.xaxis.set_major_locator(MaxNLocator(integer=True))
    more = f"; {len(ranked) - len(shown)} more are not shown" if len(ranked) > len(shown) else ""
    plot.set_xlabel(measured + more, fontsize=8)
    if len(kinds) > 1:
        # Above the bars, which may be anywhere below it.
        plot.legend(
            frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(kinds)
        )
    plot.set_title(title, fontsize=9, loc="left", pad=22 if len(kinds) > 1 else 6)
    return _small_png(figure)


def _logarithmic(plot: Axes) -> None:
    from matplotlib.ticker import LogLocator

    plot.set_yscale("log")
    # Ticks are most of the price of a picture, and powers set as mathematics most of theirs.
    plot.yaxis.set_major_locator(LogLocator(numticks=6))
    plot.yaxis.set_major_formatter(lambda value, _: f"{value:.0e}")
    plot.minorticks_off()


def _days(time: datetime) -> float:
    """As matplotlib counts time: in days from 1970-01-01."""
    return time.timestamp() * _SECOND


def _threshold(plot: Axes, value: float, name: str) -> None:
    """A dashed line, named beside the axes, where it hides nothing that was measured."""
    plot.axhline(value, color=ALARM, linestyle="--", linewidth=1)
    plot.annotate(
        name, (1, value), xycoords=("axes fraction", "data"), fontsize=8, color=ALARM,
        va="center", ha="left", xytext=(3, 0), textcoords="offset points",
    )  # fmt: skip


def _small_png(figure: Figure) -> bytes:
    """Drawn once, which `savefig` does twice; a third as large as without a palette."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    surface = FigureCanvasAgg(figure)
    surface.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(surface.buffer_rgba())  # type: ignore[no-untyped-call]
    drawn = Image.fromarray(pixels).convert("RGB")
    small = io.BytesIO()
    drawn.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(small, "png")
    return small.getvalue()


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
