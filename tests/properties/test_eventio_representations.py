"""Representations against the slow ones, and their laws."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import eventio
from eventio import representations as rep
from tests.oracle import event_representations as oracle
from tests.oracle.event_transforms import count_in_bins

Rows = list[tuple[int, int, int, bool]]
SIZE = {"width": 11, "height": 5}
EVENTS = st.tuples(st.integers(0, 400), st.integers(0, 10), st.integers(0, 4), st.booleans())
ROWS = st.lists(EVENTS, max_size=60)
SORTED = ROWS.map(lambda rows: sorted(rows, key=lambda row: row[0]))


def make(rows: Rows) -> np.ndarray:
    events = np.empty(len(rows), eventio.EVENT_DTYPE)
    for k, row in enumerate(rows):
        events[k] = row
    return events


@given(ROWS, st.integers(1, 20))
def test_counts_and_frames_of_equal_number(rows: Rows, n_events: int) -> None:
    counts, _, _ = count_in_bins(rows, start_us=0, bin_us=401, n_frames=1)
    dense = np.zeros((2, 5, 11), np.uint32)
    for (_, p, y, x), n in counts.items():
        dense[p, y, x] = n
    np.testing.assert_array_equal(rep.count_events(make(rows), **SIZE), dense)
    frames = rep.frames_by_count(make(rows), **SIZE, n_events=n_events)
    assert len(frames) == -(-len(rows) // n_events)
    np.testing.assert_array_equal(frames.sum(axis=0), dense)
    for k, frame in enumerate(frames):
        part = make(rows[k * n_events : (k + 1) * n_events])
        np.testing.assert_array_equal(frame, rep.count_events(part, **SIZE))


@given(ROWS, st.integers(1, 90), st.integers(1, 5), st.integers(-20, 300) | st.none())
def test_bits_are_frames_above_zero(rows: Rows, bin_us: int, n_frames: int, start_us: int | None) -> None:
    arguments = {**SIZE, "bin_us": bin_us, "n_frames": n_frames, "start_us": start_us}
    packed = rep.binary_frames(make(rows), **arguments)
    assert packed.shape == (n_frames, 2, 5, 2)
    unpacked = np.unpackbits(packed, axis=-1, count=11)
    np.testing.assert_array_equal(unpacked, eventio.to_frames(make(rows), **arguments) > 0)
    assert not np.unpackbits(packed, axis=-1)[..., 11:].any()


@given(ROWS, st.integers(1, 6), st.integers(-10, 200), st.integers(1, 300))
def test_voxel_grid(rows: Rows, n_bins: int, start_us: int, span_us: int) -> None:
    span = {"start_us": start_us, "stop_us": start_us + span_us}
    found = rep.voxel_grid(make(rows), **SIZE, n_bins=n_bins, **span)
    np.testing.assert_array_equal(found, oracle.voxel_grid(rows, **SIZE, n_bins=n_bins, **span))


@given(SORTED, st.integers(1, 6))
def test_voxel_grid_from_first_to_last(rows: Rows, n_bins: int) -> None:
    span = {"start_us": rows[0][0] if rows else 0, "stop_us": rows[-1][0] if rows else 0}
    found = rep.voxel_grid(make(rows), **SIZE, n_bins=n_bins)
    np.testing.assert_array_equal(found, oracle.voxel_grid(rows, **SIZE, n_bins=n_bins, **span))
    signs = sum(1 if p else -1 for _, _, _, p in rows)
    assert abs(found.sum(dtype=np.float64) - signs) <= 2 * len(rows) * 2**-24 * max(len(rows), 1)


@given(ROWS, st.integers(1, 6), st.integers(0, 500), st.sampled_from([1.0, 37.5, 1e6]))
def test_what_pixels_remember(rows: Rows, depth: int, at_us: int, tau_us: float) -> None:
    """Ages to the power of exp or log in float64, rounded once: equal up to the last bit of either library's exp."""
    times = oracle.last_times(rows, **SIZE, depth=depth, at_us=at_us)
    surface, volume = np.zeros((2, 5, 11)), np.full((2, depth, 5, 11), np.log1p(5e6) - np.log1p(150.0))
    for (p, y, x), each in times.items():
        surface[p, y, x] = np.exp(-(at_us - each[0]) / tau_us)
        for k, t in enumerate(each):
            volume[p, k, y, x] = max(0.0, np.log1p(float(at_us - t)) - np.log1p(150.0))
    events = make(rows)
    found = rep.time_surface(events, **SIZE, tau_us=tau_us, at_us=at_us)
    np.testing.assert_allclose(found, surface, rtol=2**-23, atol=2**-140)
    found = rep.last_times(events, **SIZE, depth=depth, at_us=at_us)
    np.testing.assert_allclose(found, volume, rtol=2**-23, atol=2**-140)
    found = rep.decaying_count(events, **SIZE, tau_us=tau_us, at_us=at_us)
    expected = oracle.decaying_count(rows, **SIZE, tau_us=tau_us, at_us=at_us)
    np.testing.assert_allclose(found, expected, rtol=2**-23, atol=2**-140)


@given(
    SORTED,
    st.integers(1, 6),
    st.integers(0, 3),
    st.sampled_from([0.05, 3.0, 50.0, 1e9]),
    st.integers(1, 120) | st.just(10**9),
)
def test_averaged_surfaces(rows: Rows, cell: int, radius: int, tau_us: float, longest_us: int) -> None:
    arguments = {**SIZE, "cell": cell, "radius": radius, "tau_us": tau_us, "longest_us": longest_us}
    found = rep.averaged_time_surfaces(make(rows), **arguments)
    expected = oracle.averaged_time_surfaces(rows, **arguments)
    # what is subtracted leaves at most n * 2**-51 of a cell's largest sum, which is at most n; then float32
    bound = len(rows) ** 2 * 2.0**-51
    np.testing.assert_allclose(found, expected, rtol=2**-23, atol=bound)


@given(SORTED, st.integers(1, 4), st.sampled_from([1e-6, 0.01, 0.25, 10.0]), st.integers(1, 5))
def test_radius_graph(rows: Rows, radius: int, pixels_per_us: float, n_neighbours: int) -> None:
    arguments = {"radius": radius, "pixels_per_us": pixels_per_us, "n_neighbours": n_neighbours}
    graph = rep.radius_graph(make(rows), **SIZE, **arguments)
    assert list(zip(*graph.edges.tolist(), strict=True)) == oracle.radius_edges(rows, **arguments)
    assert graph.position[:, :2].tolist() == [[x, y] for _, x, y, _ in rows]


@given(SORTED, st.integers(1, 4), st.sampled_from([0.5, 3.0]))
def test_pooled_graphs_keep_events_means_and_connections(rows: Rows, cell: int, cell_time: float) -> None:
    graph = rep.radius_graph(make(rows), **SIZE, pixels_per_us=0.02)
    pooled = rep.pool_graph(graph, cell=cell, cell_time=cell_time)
    boxes = [
        (int(t // cell_time), int(y // cell), int(x // cell)) for x, y, t in graph.position.astype(float)
    ]
    names = sorted(set(boxes))
    assert pooled.n_events.tolist() == [boxes.count(name) for name in names]
    ends = {
        (names.index(boxes[a]), names.index(boxes[b]))
        for a, b in graph.edges.T.tolist()
        if boxes[a] != boxes[b]
    }
    assert list(zip(*pooled.edges.tolist(), strict=True)) == sorted(ends, key=lambda pair: (pair[1], pair[0]))
    for k, name in enumerate(names):
        members = [n for n, box in enumerate(boxes) if box == name]
        mean = graph.position[members].astype(float).mean(axis=0)
        np.testing.assert_allclose(pooled.position[k], mean, rtol=2**-22, atol=1e-12)
        assert pooled.polarity[k] == np.float32(graph.polarity[members].astype(float).mean())


@given(ROWS.filter(bool), st.integers(1, 150), st.integers(0, 5))
def test_points_are_events_as_often_as_needed(rows: Rows, n_points: int, seed: int) -> None:
    drawn = rep.sample_points(make(rows), **SIZE, n_points=n_points, seed=seed)
    times = np.bincount(drawn.index, minlength=len(rows))
    assert len(drawn.index) == n_points
    assert times.max() - times.min() <= 1
    assert (np.diff(drawn.index) >= 0).all()
    for point, k in zip(drawn.points, drawn.index, strict=True):
        _, x, y, p = rows[k]
        assert point[:2].tolist() == [np.float32(x / 5 - 1), np.float32(y / 2 - 1)]
        assert 0 <= point[2] <= 1
        assert point[3] == (1 if p else -1)
