"""Sets of points as the input of spiking networks; networks over points stand in `analog_bridge.points.networks`."""

from __future__ import annotations

from analog_bridge.points.sampling import (
    farthest_points,
    match_points,
    normalised_cloud,
    random_points,
    skeleton_channels,
    voxel_spikes,
)

__all__ = [
    "farthest_points",
    "random_points",
    "match_points",
    "normalised_cloud",
    "voxel_spikes",
    "skeleton_channels",
]
