"""Events as the nodes of a graph: near in space and time is connected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eventio.arguments import check_number, check_sensor, check_whole
from eventio.errors import ArgumentError
from eventio.recording import EventArray
from eventio.representations import _kernels_graph as kernels
from eventio.representations.counts import check_room, check_sorted_events

Floats = npt.NDArray[np.float32]
MOST_NODES = 1 << 32


@dataclass(frozen=True, eq=False, slots=True)
class EventGraph:
    """
    Nodes in space and time, and edges from earlier to later ones.

    Attributes
    ----------
    position : ndarray
        float32, shape (n_nodes, 3): column, row and time, the last in pixels (microseconds after the first event
        times pixels_per_us).
    polarity : ndarray
        float32, shape (n_nodes,): 1 ON, -1 OFF, between them the mean of nodes that were pooled.
    edges : ndarray
        int64, shape (2, n_edges): from row 0 to row 1; sorted by target.
    n_events : ndarray
        int64, shape (n_nodes,): how many events each node stands for.
    """

    position: Floats
    polarity: Floats
    edges: npt.NDArray[np.int64]
    n_events: npt.NDArray[np.int64]


def radius_graph(
    events: EventArray,
    *,
    width: int,
    height: int,
    radius: int = 3,
    pixels_per_us: float = 1e-4,
    n_neighbours: int = 16,
) -> EventGraph:
    """
    Connect each event with the newest events before it within a radius.

    The squared distance of two events is dx**2 + dy**2 + (pixels_per_us * dt)**2. Each event gets edges from the
    events before it in the array at most `radius` away: from the last n_neighbours of them. Buckets of the sensor's
    pixels, radius by radius large, keep the search short; an event stands in the lists of three of them (48 bytes).

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), sorted by time.
    width, height : int
        Size of the sensor in pixels.
    radius : int
        Largest distance in pixels, at least 1.
    pixels_per_us : float
        What a microsecond counts, in pixels, > 0; 1e-4 makes 10 ms a pixel.
    n_neighbours : int
        Edges into a node, 1 to 4096.

    Returns
    -------
    EventGraph
        A node for each event, in their order.

    Raises
    ------
    ArgumentError
        The array is of another type or not sorted, or a number is out of its range.
    OutOfSensorError
        An event lies outside the sensor.

    Notes
    -----
    Source: Schaefer, Gehrig, Scaramuzza, "AEGNN: asynchronous event-based graph neural networks", CVPR 2022, sec.
    3.2. We differ: neighbours are the newest ones and come before the event, so that an event never changes older
    nodes.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 10, 20], x=[0, 1, 9], y=[0] * 3, p=[1, 1, 0])
    >>> radius_graph(events, width=10, height=1).edges.tolist()
    [[0], [1]]
    """
    check_sensor(events, width, height)
    check_sorted_events(events)
    check_whole("radius", radius, most=1 << 16)
    check_number("pixels_per_us", pixels_per_us, is_least_allowed=False)
    check_whole("n_neighbours", n_neighbours, most=4096)
    check_room(len(events), n_neighbours)
    if len(events) >= MOST_NODES:
        raise ArgumentError(
            f"{len(events)} events are more than {MOST_NODES - 1}; make a graph of a part of them"
        )
    lists = make_lists(events, width, height, radius)
    edges = np.empty((2, len(events) * n_neighbours), np.int64)
    reach = (float(pixels_per_us), float(radius) * float(radius))
    n = kernels.connect(events, reach, n_neighbours, lists, edges)
    position = np.empty((len(events), 3), np.float32)
    position[:, 0], position[:, 1] = events["x"], events["y"]
    position[:, 2] = (events["t"] - (events["t"][0] if len(events) else 0)) * pixels_per_us
    polarity = np.where(events["p"], np.float32(1), np.float32(-1))
    return EventGraph(position, polarity, edges[:, :n].copy(), np.ones(len(events), np.int64))


def make_lists(events: EventArray, width: int, height: int, radius: int) -> kernels.Lists:
    """
    Make room for events by place.

    Parameters
    ----------
    events : ndarray
        Of EVENT_DTYPE, shape (n_events,), inside the sensor.
    width, height : int
        Size of the sensor in pixels.
    radius : int
        Side of a bucket of pixels.

    Returns
    -------
    Lists
        Empty, each of the size that it will have.
    """
    columns, rows = np.arange(width) // radius + 1, np.arange(height) // radius + 1
    n_columns = int(columns[-1]) + 2
    counts = np.zeros(n_columns * (int(rows[-1]) + 2), np.int64)
    kernels.count_in_lists(events, n_columns, columns, rows, counts)
    starts = kernels.SPARE + np.cumsum(counts) - counts
    n = kernels.SPARE + int(counts.sum())
    points = np.empty((n, 2), np.int64)
    points[: kernels.SPARE] = 0
    return kernels.Lists(n_columns, columns, rows, starts, starts.copy(), points)


def pool_graph(graph: EventGraph, *, cell: float, cell_time: float) -> EventGraph:
    """
    Join the nodes that share a box of space and time.

    Positions and polarities become means over the events, edges between two boxes become one, edges within a box
    vanish.

    Parameters
    ----------
    graph : EventGraph
        The graph.
    cell : float
        Side of a box along columns and rows, in pixels, > 0.
    cell_time : float
        Its length in time, in pixels (as `EventGraph.position`), > 0.

    Returns
    -------
    EventGraph
        Its nodes sorted by box: time first, then row, then column.

    Raises
    ------
    ArgumentError
        A size is not > 0.

    Examples
    --------
    >>> import eventio
    >>> events = eventio.make_events(t=[0, 10, 20], x=[0, 1, 2], y=[0] * 3, p=[1, 0, 1])
    >>> graph = radius_graph(events, width=3, height=1)
    >>> pooled = pool_graph(graph, cell=2, cell_time=1)
    >>> pooled.position.tolist()[0][:2], pooled.polarity.tolist(), pooled.edges.tolist()
    ([0.5, 0.0], [0.0, 1.0], [[0], [1]])
    """
    for name, size in (("cell", cell), ("cell_time", cell_time)):
        check_number(name, size, is_least_allowed=False)
    boxes = np.floor(graph.position.astype(np.float64) / [cell, cell, cell_time]).astype(np.int64)
    if len(boxes) and np.abs(boxes).max() >= 1 << 40:
        raise ArgumentError(f"cell = {cell} and cell_time = {cell_time} give too many boxes; use larger ones")
    _, node = np.unique(boxes[:, ::-1], axis=0, return_inverse=True)
    node = node.reshape(-1)
    n_nodes = int(node.max()) + 1 if len(node) else 0
    n_events = np.bincount(node, weights=graph.n_events, minlength=n_nodes).astype(np.int64)

    def mean(values: Floats) -> npt.NDArray[np.float64]:
        total = np.bincount(node, weights=values * graph.n_events.astype(np.float64), minlength=n_nodes)
        means: npt.NDArray[np.float64] = total / np.maximum(n_events, 1)
        return means

    position = np.stack([mean(graph.position[:, k]) for k in range(3)], axis=1).astype(np.float32)
    ends = node[graph.edges]
    pairs = np.unique(ends[::-1, ends[0] != ends[1]], axis=1)[::-1]
    return EventGraph(position, mean(graph.polarity).astype(np.float32), pairs, n_events)
