"""Pure functions over events."""

from eventio.transforms.binning import BinnedEvents, bin_events, to_frames
from eventio.transforms.emulator import DvsModel, emulate_dvs
from eventio.transforms.filtering import filter_background_activity, sort_by_time

__all__ = [
    "BinnedEvents",
    "bin_events",
    "to_frames",
    "DvsModel",
    "emulate_dvs",
    "filter_background_activity",
    "sort_by_time",
]
