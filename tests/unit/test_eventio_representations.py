"""Boundaries and refusals of the representations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import eventio
from eventio import representations as rep

EMPTY = np.empty(0, eventio.EVENT_DTYPE)
ONE = eventio.make_events(t=[7], x=[1], y=[0], p=[1])
SIZE = {"width": 3, "height": 2}


def test_no_events_give_zeros() -> None:
    assert not rep.count_events(EMPTY, **SIZE).any()
    assert rep.frames_by_count(EMPTY, **SIZE, n_events=5).shape == (0, 2, 2, 3)
    assert not rep.binary_frames(EMPTY, **SIZE, bin_us=5, n_frames=2).any()
    assert not rep.voxel_grid(EMPTY, **SIZE, n_bins=3).any()
    assert not rep.time_surface(EMPTY, **SIZE, tau_us=5).any()
    assert not rep.decaying_count(EMPTY, **SIZE, tau_us=5).any()
    assert not rep.averaged_time_surfaces(EMPTY, **SIZE).any()
    assert rep.last_times(EMPTY, **SIZE).min() == np.float32(np.log1p(5e6) - np.log1p(150.0))
    graph = rep.radius_graph(EMPTY, **SIZE)
    assert (graph.position.shape, graph.edges.shape) == ((0, 3), (2, 0))
    assert rep.pool_graph(graph, cell=2, cell_time=1).position.shape == (0, 3)


def test_one_event_and_events_of_one_moment() -> None:
    assert rep.voxel_grid(ONE, **SIZE, n_bins=3)[0, 0, 1] == 1.0
    both = eventio.make_events(t=[7, 7], x=[1, 1], y=[0, 0], p=[1, 0])
    assert not rep.voxel_grid(both, **SIZE, n_bins=3).any()  # the signs cancel
    assert rep.time_surface(ONE, **SIZE, tau_us=5)[1, 0, 1] == 1.0
    assert rep.time_surface(ONE, **SIZE, tau_us=5, at_us=6).max() == 0.0  # not yet
    assert rep.sample_points(ONE, **SIZE, n_points=4, seed=0).index.tolist() == [0, 0, 0, 0]


def test_the_last_bin_of_a_voxel_grid_holds_the_last_moment() -> None:
    events = eventio.make_events(t=[0, 10, 11], x=[0, 1, 2], y=[0] * 3, p=[1] * 3)
    grid = rep.voxel_grid(events, **SIZE, n_bins=2, start_us=0, stop_us=10)
    assert grid[:, 0].tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def test_neighbours_are_the_newest() -> None:
    events = eventio.make_events(t=[0, 1, 2, 3], x=[0, 1, 2, 1], y=[0] * 4, p=[1] * 4)
    graph = rep.radius_graph(events, **SIZE, radius=1, pixels_per_us=1e-9, n_neighbours=2)
    assert graph.edges.T.tolist() == [[0, 1], [1, 2], [2, 3], [1, 3]]


OUTSIDE = eventio.make_events(t=[0, 1], x=[0, 3], y=[0, 0], p=[1, 1])
BACKWARDS = eventio.make_events(t=[5, 1], x=[0, 1], y=[0, 0], p=[1, 1])
CALLS: list[Callable[[Any], Any]] = [
    lambda events: rep.count_events(events, **SIZE),
    lambda events: rep.frames_by_count(events, **SIZE, n_events=2),
    lambda events: rep.binary_frames(events, **SIZE, bin_us=9, n_frames=1),
    lambda events: eventio.to_frames(events, **SIZE, bin_us=9, n_frames=1),
    lambda events: eventio.bin_events(events, **SIZE, bin_us=9, n_frames=1),
    lambda events: rep.voxel_grid(events, **SIZE, n_bins=2),
    lambda events: rep.time_surface(events, **SIZE, tau_us=1),
    lambda events: rep.decaying_count(events, **SIZE, tau_us=1),
    lambda events: rep.last_times(events, **SIZE),
    lambda events: rep.averaged_time_surfaces(events, **SIZE),
    lambda events: rep.sample_points(events, **SIZE, n_points=1, seed=0),
    lambda events: rep.radius_graph(events, **SIZE),
]


@pytest.mark.parametrize("call", CALLS)
def test_events_outside_and_other_arrays_are_refused(call: Callable[[Any], Any]) -> None:
    with pytest.raises(eventio.OutOfSensorError, match=r"event 1 .* x = 3, y = 0, outside the 3x2 sensor"):
        call(OUTSIDE)
    with pytest.raises(eventio.ArgumentError, match="EVENT_DTYPE"):
        call(np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: rep.frames_by_count(ONE, **SIZE, n_events=0), "n_events must be"),
        (lambda: rep.voxel_grid(ONE, **SIZE, n_bins=0), "n_bins must be"),
        (lambda: rep.voxel_grid(ONE, **SIZE, n_bins=2, start_us=5, stop_us=5), "start_us must lie before"),
        (lambda: rep.voxel_grid(BACKWARDS, **SIZE, n_bins=2), "start_us must lie before"),
        (lambda: rep.voxel_grid(ONE, **SIZE, n_bins=2**40), "more than"),
        (lambda: rep.binary_frames(ONE, width=65536, height=65536, bin_us=1, n_frames=99), "more than"),
        (lambda: rep.time_surface(ONE, **SIZE, tau_us=0), "tau_us must be finite and > 0, got 0"),
        (lambda: rep.time_surface(ONE, **SIZE, tau_us=float("nan")), "tau_us must be"),
        (lambda: rep.time_surface(ONE, **SIZE, tau_us=5, at_us=0.5), "at_us must be"),
        (lambda: rep.last_times(ONE, **SIZE, depth=0), "depth must be"),
        (lambda: rep.last_times(ONE, **SIZE, shortest_us=9, longest_us=9), "longest_us must be"),
        (lambda: rep.averaged_time_surfaces(BACKWARDS, **SIZE), "event 1 .* earlier than the one before"),
        (lambda: rep.averaged_time_surfaces(ONE, **SIZE, cell=0), "cell must be"),
        (lambda: rep.averaged_time_surfaces(ONE, **SIZE, radius=65), "radius must be"),
        (lambda: rep.radius_graph(BACKWARDS, **SIZE), "sorted by time"),
        (lambda: rep.radius_graph(ONE, **SIZE, radius=0), "radius must be"),
        (lambda: rep.radius_graph(ONE, **SIZE, pixels_per_us=0), "pixels_per_us must be"),
        (lambda: rep.pool_graph(rep.radius_graph(ONE, **SIZE), cell=0, cell_time=1), "cell must be"),
        (lambda: rep.sample_points(EMPTY, **SIZE, n_points=1, seed=0), "at least one event"),
        (lambda: rep.sample_points(ONE, **SIZE, n_points=0, seed=0), "n_points must be"),
    ],
)
def test_bad_arguments(call: Callable[[], Any], text: str) -> None:
    with pytest.raises(eventio.ArgumentError, match=text):
        call()
