"""Pure functions over events."""

from eventio.transforms.augmentation import drop_area, drop_events, drop_period, jitter
from eventio.transforms.binning import BinnedEvents, bin_events, to_frames
from eventio.transforms.emulator import DvsModel, emulate_dvs, with_noise
from eventio.transforms.films import Film, read_film, read_pictures
from eventio.transforms.filtering import filter_background_activity, sort_by_time
from eventio.transforms.geometry import crop, downsample, flip, rotate, turn
from eventio.transforms.selection import decimate, merge_polarities, slice_events, slice_time

__all__ = [
    "BinnedEvents",
    "bin_events",
    "to_frames",
    "DvsModel",
    "emulate_dvs",
    "with_noise",
    "Film",
    "read_film",
    "read_pictures",
    "filter_background_activity",
    "sort_by_time",
    "crop",
    "downsample",
    "flip",
    "turn",
    "rotate",
    "slice_time",
    "slice_events",
    "merge_polarities",
    "decimate",
    "jitter",
    "drop_events",
    "drop_period",
    "drop_area",
]
