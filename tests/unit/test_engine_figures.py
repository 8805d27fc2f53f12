"""`Result.plot`: the panels, what stands in them, and what is said when there is nothing to draw."""

from __future__ import annotations

import io
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import neuro
from neuro.graph import IF, LIF, Conv2d, Graph, Input, Linear, TemporalAttention, clocked

FRAMES = (np.random.default_rng(1).random((6, 2, 4, 4)) < 0.3).astype(np.float32)


def attended() -> Graph:
    """A convolution behind attention that drops the frames 1, 2 and 5."""
    rng = np.random.default_rng(0)
    bias = [1.0, -1.0, -1.0, 1.0, 1.0, -1.0]
    nodes: dict[str, Any] = {
        "in": Input((2, 4, 4)),
        "attention": TemporalAttention(np.zeros((1, 6)), [0.0], np.zeros((6, 1)), bias, 0.5),
        "conv": Conv2d(rng.normal(0.2, 0.3, (4, 2, 3, 3)), padding=1),
        "hidden": LIF(0.003, 0.3),
    }
    return Graph(nodes, list(pairwise(nodes)), clocked(0.001))


def drawn(result: neuro.Result, **words: Any) -> Figure:
    """The figure, written once, so that everything in it was drawn."""
    figure = result.plot(**words)
    assert isinstance(figure, Figure)
    figure.savefig(io.BytesIO(), format="png")
    return figure


def test_a_panel_for_each_recording_and_the_attention() -> None:
    record = {"in": "spikes", "hidden": ("spikes", "membrane")}
    result = neuro.simulate(attended(), FRAMES, record=record)
    scores, events, raster, membranes = drawn(result, n_neurons=3).axes
    assert [axes.get_title(loc="left") for axes in (scores, events, raster, membranes)] == [
        "temporal attention",
        "in",
        "hidden",
        "hidden",
    ]
    assert scores.get_title(loc="right") == "3 of 6 frames dropped (shaded), threshold 0.5"
    assert events.get_title(loc="right") == f"{len(result.spikes['in'])} spikes, 2\u00d74\u00d74 neurons"
    spikes = result.spikes["hidden"]
    (dots,) = raster.lines
    assert dots.get_xdata().tolist() == spikes.step.tolist()
    assert dots.get_ydata().tolist() == spikes.index.tolist()
    assert len(membranes.lines) == 3
    for line in membranes.lines:
        where = tuple(int(part) for part in str(line.get_label()).split(", "))
        np.testing.assert_array_equal(line.get_ydata(), result.membranes["hidden"][(slice(None), *where)])
    assert membranes.get_xlim() == (-0.5, 5.5)
    assert membranes.get_xlabel() == "step"
    shaded = [(patch.get_x(), patch.get_width()) for patch in raster.patches]
    assert shaded == [(0.5, 2.0), (4.5, 1.0)]


def test_the_membranes_drawn_vary_most() -> None:
    nodes = {"in": Input(3), "fc": Linear(np.diag([0.0, 0.2, 0.1])), "out": IF(9.0)}
    graph = Graph(nodes, list(pairwise(nodes)), clocked(0.001))
    result = neuro.simulate(graph, np.ones((5, 3)), record={"out": "membrane"})
    assert [line.get_label() for line in drawn(result, n_neurons=1).axes[0].lines] == ["1"]
    assert len(drawn(result).axes[0].lines) == 3


def test_what_a_monitor_left_out_is_said_in_the_figure() -> None:
    monitor = neuro.Monitor("spikes", limit=4, overflow="count")
    result = neuro.simulate(attended(), FRAMES, record={"in": monitor}, use_attention=False)
    n_more = result.left_out["in"]["spikes"]
    (axes,) = drawn(result).axes
    assert (
        axes.get_title(loc="right")
        == f"4 spikes, 2\u00d74\u00d74 neurons; {n_more} later spikes not recorded"
    )


@pytest.mark.parametrize("n_steps", [0, 1])
def test_runs_without_steps_or_spikes_are_drawn(n_steps: int) -> None:
    record = {"hidden": ("spikes", "membrane")}
    silent = neuro.simulate(attended(), np.zeros((n_steps, 2, 4, 4)), record=record, use_attention=False)
    assert len(drawn(silent).axes) == 2


def test_a_figure_can_be_given() -> None:
    figure = Figure()
    result = neuro.simulate(attended(), FRAMES)
    assert drawn(result, figure=figure) is figure
    assert len(figure.axes) == 1


def test_plot_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    result = neuro.simulate(attended(), FRAMES, use_attention=False)
    with pytest.raises(neuro.InputError, match="nothing was recorded; run simulate with record"):
        result.plot()
    with pytest.raises(neuro.InputError, match="n_neurons must be a whole number >= 1, got 0"):
        result.plot(n_neurons=0)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        neuro.MissingPackageError, match=r"drawing a run needs .* pip install 'matplotlib>=3\.9'"
    ):
        neuro.simulate(attended(), FRAMES).plot()


# -- continuous runs -----------------------------------------------------------------------------------------------


def continuous_run(**words: Any) -> neuro.EventResult:
    """Three neurons that fire now and then; spikes of the Input and the neurons, membranes at some times."""
    graph = Graph({"in": Input(3), "out": LIF(0.01, 1.5)}, [("in", "out")], neuro.graph.continuous())
    t_us = np.arange(1000, 31_000, 1000)
    events = neuro.Events(t_us, t_us // 1000 % 3, np.ones(30), (3,), duration_us=40_000)
    return neuro.simulate(graph, events, **words)


def test_a_continuous_run_is_drawn_over_time() -> None:
    times = range(0, 40_000, 500)
    record = {"in": "spikes", "out": ["spikes", neuro.Monitor("membrane", times_us=times)]}
    result = continuous_run(record=record)
    figure = result.plot(n_neurons=2)
    figure.savefig(io.BytesIO())
    raster, own, membranes = figure.axes
    assert raster.lines[0].get_xdata().tolist() == list(range(1, 31))
    assert own.lines[0].get_xdata().tolist() == (result.spikes["out"].t_us / 1000).tolist()
    assert len(membranes.lines) == 2
    assert membranes.lines[0].get_xdata().tolist() == [t / 1000 for t in times]
    assert membranes.get_xlabel() == "time (ms)"
    assert membranes.get_xlim()[1] == pytest.approx(40.401)


def test_plots_of_continuous_runs_name_what_is_missing() -> None:
    with pytest.raises(neuro.InputError, match=r"EventResult\.plot: nothing was recorded"):
        continuous_run().plot()
    with pytest.raises(neuro.InputError, match=r"EventResult\.plot: n_neurons must be .* got 0"):
        continuous_run(record={"out": "spikes"}).plot(n_neurons=0)
    few = neuro.Monitor("spikes", limit=4, overflow="count")
    (axes,) = continuous_run(record={"in": few}).plot().axes
    assert axes.get_title(loc="right") == "4 spikes, 3 neurons; 26 later spikes not recorded"
