"""What can go wrong with a recording: one exception tree, each class also a builtin."""

from __future__ import annotations


class EventioError(Exception):
    """Base of everything eventio raises on purpose."""


class MissingFileError(EventioError, FileNotFoundError):
    """The named file or folder does not exist."""


class FileAccessError(EventioError, OSError):
    """A file or folder cannot be read or written: a folder in place of a file, rights, a full disk."""


class MissingPackageError(EventioError, ImportError):
    """A package that a format needs is not installed."""


class FormatError(EventioError, ValueError):
    """A file is foreign, empty or holds no valid event, or a format cannot hold these events."""


class OutOfSensorError(EventioError, ValueError):
    """An event lies outside the sensor."""


class ArgumentError(EventioError, ValueError):
    """An argument breaks the rule of the function it was given to."""


class DamagedRecordingWarning(UserWarning):
    """A recording was cut short or its time runs backwards; the valid events were read as they stand."""
