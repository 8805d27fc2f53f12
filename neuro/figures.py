"""The figure of a run: rasters, membranes, attention. matplotlib is imported when one is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError, MissingPackageError
from neuro.events import Events
from neuro.spikes import Spikes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["Scores", "draw_events", "draw_run"]

Floats = NDArray[np.float32]

_INK, _MUTED, _RULE, _SHADE = "#212529", "#5c636a", "#ced4da", "#e9ecef"
_SPIKES, _KEPT, _DROPPED = "#1864ab", "#0ca678", "#adb5bd"
_LINES = ("#1c7ed6", "#e8590c", "#0ca678", "#845ef7", "#c2255c", "#5c940d", "#0b7285", "#8d6e63")
_WIDTH_IN, _MARGIN_IN = 8.0, 0.45
_N_MARKED = 60  # up to as many neurons a spike is a line, else a dot


@dataclass(frozen=True)
class Scores:
    """What is drawn of an attention.

    Attributes
    ----------
    scores : float32, shape (T,)
        Score of each frame.
    kept : bool, shape (T,)
        Whether it was computed.
    threshold : float
        Least score of a kept frame.
    """

    scores: Floats
    kept: NDArray[np.bool_]
    threshold: float


@dataclass(frozen=True)
class Raster:
    """Spikes to draw: where each stands on the axis, its neuron, the shape, and how many more there were."""

    at: NDArray[Any]
    index: NDArray[np.int32]
    shape: tuple[int, ...]
    n_more: int


Panel = tuple[float, Callable[["Axes"], None]]  # height in inches, what draws it


def draw_run(
    spikes: Mapping[str, Spikes],
    membranes: Mapping[str, Floats],
    scores: Scores | None,
    *,
    left_out: Mapping[str, Mapping[str, int]],
    n_steps: int,
    n_neurons: int,
    figure: Figure | SubFigure | None,
) -> Figure | SubFigure:
    """Draw a panel for each recording under one axis of steps; dropped frames are shaded in all of them.

    Parameters
    ----------
    spikes, membranes : mapping
        Recordings by node.
    scores : Scores or None
        The attention, drawn first.
    left_out : mapping
        What was not recorded, as in `Result.left_out`.
    n_steps : int
        Length of the run.
    n_neurons : int
        Membranes drawn for each node: those that vary most.
    figure : Figure, SubFigure or None
        What to draw into.

    Returns
    -------
    Figure or SubFigure
        `figure`, or a new one.
    """
    panels: list[Panel] = []
    if scores is not None:
        panels.append((1.3, partial(_draw_scores, scores=scores)))
    for name, recorded in spikes.items():
        raster = Raster(recorded.step, recorded.index, recorded.shape, _n_more(left_out, name))
        panels.append((1.9, partial(_draw_raster, name=name, raster=raster)))
    for name, traces in membranes.items():
        draw = partial(_draw_membranes, name=name, at=np.arange(len(traces)), membranes=traces)
        panels.append((1.7, partial(draw, n_neurons=n_neurons)))
    if not panels:
        raise InputError(
            "Result.plot: nothing was recorded; run simulate with record, "
            "for example record={'hidden': ('spikes', 'membrane')}"
        )
    figure, column = _draw_panels(panels, figure, None if scores is None else scores.kept)
    column[-1].set_xlabel("step", color=_MUTED, fontsize=9)
    column[-1].set_xlim(-0.5, max(n_steps, 1) - 0.5)
    column[-1].locator_params(axis="x", integer=True)
    return figure


def draw_events(
    spikes: Mapping[str, Events],
    membranes: Mapping[str, NDArray[np.float64]],
    times_us: Mapping[str, NDArray[np.int64]],
    *,
    left_out: Mapping[str, Mapping[str, int]],
    n_neurons: int,
    figure: Figure | SubFigure | None,
) -> Figure | SubFigure:
    """Draw a panel for each recording of a continuous run under one axis of time.

    Parameters
    ----------
    spikes, membranes, times_us : mapping
        Recordings by node, and the times of the membranes.
    left_out : mapping
        What was not recorded, as in `EventResult.left_out`.
    n_neurons : int
        Membranes drawn for each node: those that vary most.
    figure : Figure, SubFigure or None
        What to draw into.

    Returns
    -------
    Figure or SubFigure
        `figure`, or a new one.
    """
    panels: list[Panel] = []
    ends = [0.0]
    for name, recorded in spikes.items():
        raster = Raster(recorded.t_us / 1000, recorded.index, recorded.shape, _n_more(left_out, name))
        panels.append((1.9, partial(_draw_raster, name=name, raster=raster)))
        ends += [(recorded.duration_us or 0) / 1000, *raster.at[-1:]]
    for name, traces in membranes.items():
        at = times_us[name] / 1000
        draw = partial(_draw_membranes, name=name, at=at, membranes=traces, n_neurons=n_neurons)
        panels.append((1.7, draw))
        ends += [*at[-1:]]
    if not panels:
        raise InputError(
            "EventResult.plot: nothing was recorded; run simulate with record, for example "
            "record={'hidden': 'spikes'}"
        )
    figure, column = _draw_panels(panels, figure, None)
    column[-1].set_xlabel("time (ms)", color=_MUTED, fontsize=9)
    column[-1].set_xlim(-0.01 * max(ends) - 1e-3, 1.01 * max(ends) + 1e-3)
    return figure


def _n_more(left_out: Mapping[str, Mapping[str, int]], name: str) -> int:
    return left_out.get(name, {}).get("spikes", 0)


def _draw_panels(
    panels: list[Panel], figure: Figure | SubFigure | None, kept: NDArray[np.bool_] | None
) -> tuple[Figure | SubFigure, list[Axes]]:
    """Draw panels one below the other; return the figure and their axes."""
    heights = [height for height, _ in panels]
    if figure is None:
        figure = _new_figure(sum(heights) + _MARGIN_IN)
    column = list(figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    for axes, (_, draw) in zip(column, panels, strict=True):
        _plain(axes)
        if kept is not None:
            _shade(axes, kept)
        draw(axes)
    figure.align_ylabels(column)
    return figure, column


def _new_figure(height_in: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as err:
        raise MissingPackageError(
            "drawing a run needs the package matplotlib: pip install 'matplotlib>=3.9'"
        ) from err
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    return figure


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_RULE)
    axes.tick_params(colors=_MUTED, labelsize=8, length=3, color=_RULE)
    axes.locator_params(axis="y", nbins=4)


def _title(axes: Axes, name: str, what: str) -> None:
    axes.set_title(name, loc="left", fontsize=9.5, fontweight="bold", color=_INK, pad=4)
    axes.set_title(what, loc="right", fontsize=8.5, color=_MUTED, pad=4)


def _label(axes: Axes, text: str) -> None:
    axes.set_ylabel(text, color=_MUTED, fontsize=9)


def _shade(axes: Axes, kept: NDArray[np.bool_]) -> None:
    """Shade runs of dropped frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], kept, [True]]).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2):
        axes.axvspan(start - 0.5, stop - 0.5, color=_SHADE, linewidth=0, zorder=0)


def _draw_scores(axes: Axes, scores: Scores) -> None:
    step = np.arange(scores.scores.size)
    colours = np.where(scores.kept, _KEPT, _DROPPED).tolist()
    axes.bar(step, scores.scores, width=0.8, color=colours, zorder=2)
    axes.axhline(scores.threshold, color=_INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=3)
    axes.set_ylim(0, 1.05)
    _label(axes, "score")
    n_dropped = int((~scores.kept).sum())
    _title(
        axes,
        "temporal attention",
        f"{n_dropped} of {scores.kept.size} frames dropped (shaded), threshold {scores.threshold:g}",
    )


def _draw_raster(axes: Axes, name: str, raster: Raster) -> None:
    size, n_spikes = math.prod(raster.shape), raster.index.size
    is_small = size <= _N_MARKED
    words: dict[str, Any] = (
        {"marker": "|", "markersize": max(3.0, 90 / size)} if is_small else {"marker": "."}
    )
    if not is_small:
        words |= {"markersize": 3.0 if n_spikes < 5000 else 1.5, "markeredgewidth": 0}
    axes.plot(raster.at, raster.index, linestyle="", color=_SPIKES, rasterized=True, zorder=2, **words)
    axes.set_ylim(-0.02 * size - 0.5, 1.02 * size - 0.5)
    axes.locator_params(axis="y", integer=True)
    _label(axes, "neuron")
    more = f"; {raster.n_more:,} later spikes not recorded" if raster.n_more else ""
    _title(axes, name, f"{n_spikes:,} spikes, {_shape(raster.shape)} neurons{more}")


def _draw_membranes(axes: Axes, name: str, at: NDArray[Any], membranes: NDArray[Any], n_neurons: int) -> None:
    shape = membranes.shape[1:]
    flat = membranes.reshape(len(membranes), math.prod(shape))
    spread = np.ptp(flat, axis=0) if len(flat) else np.zeros(flat.shape[1], np.float32)
    chosen = np.sort(np.argsort(-spread, kind="stable")[:n_neurons])
    for k, neuron in enumerate(chosen):
        where = ", ".join(str(int(i)) for i in np.unravel_index(neuron, shape))
        marker = "." if len(flat) <= _N_MARKED else ""
        axes.plot(
            at,
            flat[:, neuron],
            color=_LINES[k % len(_LINES)],
            linewidth=1.2,
            marker=marker,
            markersize=4,
            label=where,
            zorder=2,
        )
    legend = axes.legend(
        title="neuron",
        title_fontsize=8,
        alignment="left",
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        fontsize=8,
        labelcolor=_MUTED,
        handlelength=1.2,
    )
    legend.get_title().set_color(_MUTED)
    axes.margins(y=0.1)
    _label(axes, "membrane")
    _title(axes, name, f"the {len(chosen)} of {_shape(shape)} neurons that vary most")


def _shape(shape: tuple[int, ...]) -> str:
    return "\u00d7".join(map(str, shape))
