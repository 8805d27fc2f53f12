"""A sample of a collection becomes a recording."""

from __future__ import annotations

from eventio.datasets.collection import Sample
from eventio.datasets.spoken import read_spikes
from eventio.errors import FormatError
from eventio.reading import read
from eventio.recording import Recording
from eventio.transforms.geometry import flip
from eventio.transforms.selection import slice_time

FAR_US = 1 << 61


def read_sample(sample: Sample, *, width: int | None = None, height: int | None = None) -> Recording:
    """
    Read what a sample is: a file, a part of its time, or one entry of many.

    Parameters
    ----------
    sample : Sample
        The sample.
    width, height : int, optional
        Size of the sensor in pixels, where it is known better than the file says; both or none.

    Returns
    -------
    Recording
        Its events; times stay as in the file.

    Raises
    ------
    MissingFileError, FileAccessError, FormatError, OutOfSensorError, ArgumentError
        As `eventio.read`; FormatError, too, if the sample's part holds no event.
    """
    if sample.entry is not None:
        return read_spikes(sample.path, sample.entry)
    recording = read(sample.path, format=sample.format, width=width, height=height)
    if sample.start_us is not None or sample.stop_us is not None:
        start = -FAR_US if sample.start_us is None else sample.start_us
        stop = FAR_US if sample.stop_us is None else sample.stop_us
        recording = slice_time(recording, start, stop)
        if not len(recording):
            raise FormatError(
                f"{sample.path}: holds no event from {start:,} to {stop:,} us; the annotations belong to another file"
            )
    return flip(recording, up_down=True) if sample.is_upside_down else recording
