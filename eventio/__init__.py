"""Event-camera recordings: read, write, filter, bin, emulate. Knows nothing of networks."""

from eventio import datasets, denoising, representations
from eventio.errors import (
    ArgumentError,
    DamagedRecordingWarning,
    EventioError,
    FileAccessError,
    FormatError,
    MissingFileError,
    MissingPackageError,
    OutOfSensorError,
)
from eventio.reading import Reader, open, read
from eventio.recording import EVENT_DTYPE, Metadata, Recording, make_events
from eventio.transforms import (
    BinnedEvents,
    DvsModel,
    bin_events,
    emulate_dvs,
    filter_background_activity,
    sort_by_time,
    to_frames,
)
from eventio.writing import write

__all__ = [
    "read",
    "open",
    "write",
    "Recording",
    "Reader",
    "Metadata",
    "EVENT_DTYPE",
    "make_events",
    "filter_background_activity",
    "sort_by_time",
    "bin_events",
    "BinnedEvents",
    "to_frames",
    "emulate_dvs",
    "DvsModel",
    "datasets",
    "denoising",
    "representations",
    "EventioError",
    "MissingFileError",
    "FileAccessError",
    "MissingPackageError",
    "FormatError",
    "OutOfSensorError",
    "ArgumentError",
    "DamagedRecordingWarning",
]
