"""Pure functions over events."""

from eventio.transforms.binning import BinnedEvents, bin_events, to_frames
from eventio.transforms.emulator import DvsModel, emulate_dvs

__all__ = ["BinnedEvents", "bin_events", "to_frames", "DvsModel", "emulate_dvs"]
