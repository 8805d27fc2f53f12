"""Pure functions over events."""

from eventio.transforms.binning import BinnedEvents, bin_events, to_frames

__all__ = ["BinnedEvents", "bin_events", "to_frames"]
