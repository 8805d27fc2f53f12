"""The exceptions of :mod:`analog_bridge`: one tree, and each class is also the builtin it resembles."""

from __future__ import annotations

__all__ = [
    "BridgeError",
    "LayerError",
    "UnsupportedLayerError",
    "ModelFileError",
    "MediaError",
    "CalibrationError",
    "ConversionError",
    "MissingPackageError",
]


class BridgeError(Exception):
    """Base of every error that :mod:`analog_bridge` raises on purpose.

    Examples
    --------
    >>> issubclass(UnsupportedLayerError, BridgeError) and issubclass(UnsupportedLayerError, ValueError)
    True
    """


class LayerError(BridgeError, ValueError):
    """A layer graph is wrong: a value, a name, a shape, or the data given to it."""


class UnsupportedLayerError(BridgeError, ValueError):
    """A layer, an operator or the control flow of a network cannot be taken over."""


class ModelFileError(BridgeError, ValueError):
    """A file of a conventional network is foreign, damaged, incomplete, or may not be trusted."""


class MediaError(BridgeError, ValueError):
    """A picture, a video or a set of points is damaged, of a kind that is not read, or of another shape."""


class CalibrationError(BridgeError, ValueError):
    """Data for calibration or training are empty, of another shape, or lead to values that are not finite."""


class ConversionError(BridgeError, ValueError):
    """A network cannot be converted by the method that was asked for."""


class MissingPackageError(BridgeError, ImportError):
    """An optional package is missing; the message says what for and how to install it."""
