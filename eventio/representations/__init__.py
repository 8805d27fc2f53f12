"""What networks take in place of events: counts, volumes, surfaces, points and graphs."""

from eventio.representations.counts import binary_frames, count_events, frames_by_count
from eventio.representations.graphs import EventGraph, pool_graph, radius_graph
from eventio.representations.points import EventPoints, sample_points
from eventio.representations.surfaces import (
    averaged_time_surfaces,
    decaying_count,
    last_times,
    time_surface,
)
from eventio.representations.volumes import voxel_grid

__all__ = [
    "count_events",
    "frames_by_count",
    "binary_frames",
    "voxel_grid",
    "time_surface",
    "decaying_count",
    "last_times",
    "averaged_time_surfaces",
    "sample_points",
    "EventPoints",
    "radius_graph",
    "pool_graph",
    "EventGraph",
]
