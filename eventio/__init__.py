"""Event-camera recordings: read, write, filter, bin, emulate. Knows nothing of networks."""

from eventio import datasets, denoising, live
from eventio.companions import IMU_DTYPE, TRIGGER_DTYPE, Companions, Frame, TriggerKind
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
from eventio.reader import Reader
from eventio.reading import open, read
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
    "Companions",
    "Frame",
    "IMU_DTYPE",
    "TRIGGER_DTYPE",
    "TriggerKind",
    "filter_background_activity",
    "sort_by_time",
    "bin_events",
    "BinnedEvents",
    "to_frames",
    "emulate_dvs",
    "DvsModel",
    "datasets",
    "live",
    "denoising",
    "EventioError",
    "MissingFileError",
    "FileAccessError",
    "MissingPackageError",
    "FormatError",
    "OutOfSensorError",
    "ArgumentError",
    "DamagedRecordingWarning",
]
