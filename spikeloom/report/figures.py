"""The figures of the report, each a function from data to SVG."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

import neuro
from spikeloom.encoding import Encoding
from spikeloom.recordings import Events
from spikeloom.report.drawing import (
    ACCENT,
    DROPPED,
    LINES,
    MUTED,
    OFF,
    ON,
    RULE,
    TEXT,
    new_figure,
    plain,
    to_svg,
)
from spikeloom.report.traces import Trace

_N_PICTURES = 3
_MOST_ROWS = 200


def event_pictures(trace: Trace, encoding: Encoding, *, name: str) -> str:
    """Draw the events of a window in three pictures, one per third of its time.

    Parameters
    ----------
    trace : Trace
        The recording.
    encoding : Encoding
        Size of the sensor and length of the window.
    name : str
        Identifier of the figure.

    Returns
    -------
    str
        An SVG element.
    """
    figure = new_figure(4.4, 1.75)
    axes = figure.subplots(1, _N_PICTURES)
    edges_us = trace.window.start_us + np.linspace(0, encoding.window_us, _N_PICTURES + 1)
    times = trace.window.events["t"]
    for n, one in enumerate(axes):
        part = trace.window.events[(times >= edges_us[n]) & (times < edges_us[n + 1])]
        one.imshow(polarity_picture(part, width=encoding.width, height=encoding.height))
        plain(one)
        for spine in one.spines.values():
            spine.set(visible=True, color=RULE)
        start_ms, stop_ms = (edges_us[n : n + 2] - trace.window.start_us) / 1000
        one.set_title(f"{start_ms:.0f} to {stop_ms:.0f} ms", color=MUTED, fontsize=8)
    return to_svg(figure, name=name, description=f"Events of {trace.name}, class {trace.truth}")


def polarity_picture(events: Events, *, width: int, height: int) -> NDArray[np.float64]:
    """Mix a colour per pixel from its ON and OFF events; more events, less transparent.

    Parameters
    ----------
    events : structured array
        The events.
    width, height : int
        Size of the sensor in pixels.

    Returns
    -------
    numpy.ndarray
        float64, shape (height, width, 4): red, green, blue, opacity, each 0 to 1.
    """
    counts = np.zeros((2, height, width))
    np.add.at(counts, (events["p"].astype(np.intp), events["y"], events["x"]), 1)
    total = counts.sum(axis=0)
    share = counts / np.maximum(total, 1)
    picture = np.zeros((height, width, 4))
    picture[..., :3] = share[0, ..., None] * np.array(to_rgb(OFF)) + share[1, ..., None] * np.array(
        to_rgb(ON)
    )
    picture[..., 3] = np.minimum(1.0, 0.25 + 0.25 * total) * (total > 0)
    return picture


def attention_scores(trace: Trace, encoding: Encoding, *, name: str) -> str:
    """Draw the score of every frame, the threshold, and which frames were dropped.

    Parameters
    ----------
    trace : Trace
        A recording looked at by a network with attention.
    encoding : Encoding
        Length of a frame.
    name : str
        Identifier of the figure.

    Returns
    -------
    str
        An SVG element.
    """
    attention = trace.attention
    assert attention is not None
    bin_ms = encoding.bin_us / 1000
    scores = np.asarray(attention.scores, np.float64)
    centres = (np.arange(len(scores)) + 0.5) * bin_ms
    figure = new_figure(4.4, 1.9)
    axes = figure.subplots()
    kept = np.asarray(attention.kept, bool)
    axes.bar(centres[kept], scores[kept], width=0.8 * bin_ms, color=ACCENT, label="kept")
    axes.bar(
        centres[~kept],
        scores[~kept],
        width=0.8 * bin_ms,
        facecolor="none",
        edgecolor=DROPPED,
        hatch="/////",
        linewidth=0.8,
        label="dropped",
    )
    axes.axhline(attention.threshold, color=TEXT, linewidth=1.2, linestyle=(0, (4, 3)), label="threshold")
    axes.set(xlim=(0, len(scores) * bin_ms), ylim=(0, 1), xlabel="time in ms", ylabel="score")
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2, handlelength=1.6)
    return to_svg(figure, name=name, description=f"Attention score of each frame of {trace.name}")


def confidence_over_time(trace: Trace, encoding: Encoding, class_names: tuple[str, ...], *, name: str) -> str:
    """Draw the running probability of the recognised class, the true one and those that nearly led.

    Parameters
    ----------
    trace : Trace
        The recording.
    encoding : Encoding
        Length of a frame.
    class_names : tuple of str
        Names of the classes.
    name : str
        Identifier of the figure.

    Returns
    -------
    str
        An SVG element.
    """
    bin_ms = encoding.bin_us / 1000
    n_frames = len(trace.probabilities)
    times = np.arange(1, n_frames + 1) * bin_ms
    strongest = np.argsort(-trace.probabilities.max(axis=0), kind="stable")[: len(LINES) - 1]
    winner = class_names.index(trace.decision.label)
    truth = class_names.index(trace.truth)
    shown = list(dict.fromkeys((winner, truth, *strongest.tolist())))[: len(LINES) - 1]
    figure = new_figure(4.4, 1.9)
    axes = figure.subplots()
    for position, number in reversed(list(enumerate(shown))):
        line_width = 2.2 if position == 0 else 1.3
        axes.plot(
            times,
            trace.probabilities[:, number],
            color=LINES[position],
            linewidth=line_width,
            label=class_names[number],
        )
    decided_ms = (trace.decision.decided_at_us - trace.window.start_us) / 1000
    if 0 < decided_ms <= n_frames * bin_ms:
        axes.axvline(decided_ms, color=TEXT, linewidth=1.2, linestyle=(0, (1, 2)), label="decided")
    axes.set(xlim=(0, n_frames * bin_ms), ylim=(0, 1.03), xlabel="time in ms", ylabel="probability")
    handles, labels = axes.get_legend_handles_labels()
    order = [*range(len(shown) - 1, -1, -1), *range(len(shown), len(labels))]
    axes.legend(
        [handles[n] for n in order],
        [labels[n] for n in order],
        ncols=len(labels),
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        borderaxespad=0.2,
        handlelength=1.4,
        columnspacing=1.2,
    )
    return to_svg(figure, name=name, description=f"Running probability of the classes for {trace.name}")


def spike_raster(spikes: neuro.Spikes, trace: Trace, encoding: Encoding, *, name: str, colour: str) -> str:
    """Draw the spikes of a layer, one row per neuron; in large layers a row gathers several neurons.

    Parameters
    ----------
    spikes : neuro.Spikes
        Spikes of one layer.
    trace : Trace
        The recording, for its dropped frames.
    encoding : Encoding
        Length of a frame.
    name : str
        Identifier of the figure.
    colour : str
        Colour of the spikes.

    Returns
    -------
    str
        An SVG element.
    """
    n_neurons = int(np.prod(spikes.shape))
    stride = -(-n_neurons // _MOST_ROWS)
    n_rows = -(-n_neurons // stride)
    counts = np.zeros((n_rows, spikes.n_steps))
    np.add.at(counts, (spikes.index // stride, spikes.step), 1)
    image = np.zeros((n_rows, spikes.n_steps, 4))
    image[..., :3] = to_rgb(colour)
    image[..., 3] = np.minimum(1.0, 0.55 + 0.45 * counts / stride) * (counts > 0)
    figure = new_figure(4.4, 1.9)
    axes = figure.subplots()
    duration_ms = spikes.n_steps * encoding.bin_us / 1000
    if trace.attention is not None:
        _mark_dropped(axes, np.asarray(trace.attention.kept, bool), encoding.bin_us / 1000)
    axes.imshow(image, aspect="auto", extent=(0, duration_ms, n_rows - 0.5, -0.5), zorder=2)
    axes.set(xlabel="time in ms", ylabel="neuron" if stride == 1 else f"neuron ({stride} per row)")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value * stride:.0f}")
    return to_svg(figure, name=name, description=f"Spikes over time while looking at {trace.name}")


def confusion_matrix(confusion: NDArray[np.int64], class_names: tuple[str, ...], *, name: str) -> str:
    """Draw how often each class was taken for each other.

    Parameters
    ----------
    confusion : numpy.ndarray
        int64, shape (n_classes, n_classes): true class per row, recognised class per column.
    class_names : tuple of str
        Names of the classes.
    name : str
        Identifier of the figure.

    Returns
    -------
    str
        An SVG element.
    """
    n_classes = len(class_names)
    side = min(7.0, max(3.2, 0.42 * n_classes + 0.8))
    figure = new_figure(side, side)
    axes = figure.subplots()
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    picture = np.zeros((n_classes, n_classes, 4))
    picture[...] = (*to_rgb(ON), 0.0)
    picture[np.eye(n_classes, dtype=bool), :3] = to_rgb(ACCENT)
    picture[..., 3] = np.where(confusion > 0, 0.12 + 0.68 * share, 0.0)
    axes.imshow(picture)
    for row, column in np.argwhere(confusion > 0):
        weight = "bold" if row == column else "normal"
        axes.text(
            column, row, str(confusion[row, column]), ha="center", va="center", fontsize=8, fontweight=weight
        )
    ticks = range(n_classes)
    rotation = 0 if max(map(len, class_names)) <= 2 else 60
    axes.set_xticks(ticks, class_names, rotation=rotation, ha="center" if rotation == 0 else "right")
    axes.set_yticks(ticks, class_names)
    axes.set_xticks(np.arange(n_classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n_classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=RULE, linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set(xlabel="recognised as", ylabel="true class")
    return to_svg(figure, name=name, description="Confusion matrix: true class by row, recognised by column")


def _mark_dropped(axes: Axes, kept: NDArray[np.bool_], bin_ms: float) -> None:
    for frame in np.flatnonzero(~kept):
        axes.axvspan(frame * bin_ms, (frame + 1) * bin_ms, color=RULE, alpha=0.45, linewidth=0, zorder=1)
