"""Videos as the input of spiking networks: dynamic images, keyframes, moved features, a codec's motion."""

from __future__ import annotations

from analog_bridge.video.codec import (
    CodedFrame,
    motion_events,
    motion_field,
    motion_residual,
    read_coded_frames,
    residual_events,
)
from analog_bridge.video.frames import (
    dynamic_image,
    keyframes,
    rank_pooling_weights,
    scaled_to_unit,
    warp_features,
)

__all__ = [
    "dynamic_image",
    "rank_pooling_weights",
    "scaled_to_unit",
    "keyframes",
    "warp_features",
    "CodedFrame",
    "read_coded_frames",
    "motion_field",
    "motion_events",
    "motion_residual",
    "residual_events",
]
