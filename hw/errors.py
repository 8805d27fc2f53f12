"""The exceptions of :mod:`hw`: one tree, and each class is also the builtin it resembles."""

from __future__ import annotations

__all__ = [
    "HardwareError",
    "TargetError",
    "UnsupportedNodeError",
    "QuantizationError",
    "CapacityError",
    "MappingFileError",
    "LavaError",
    "LavaTimeoutError",
    "MissingPackageError",
]


class HardwareError(Exception):
    """Base of every error that :mod:`hw` raises on purpose.

    Examples
    --------
    >>> issubclass(CapacityError, HardwareError) and issubclass(CapacityError, ValueError)
    True
    """


class TargetError(HardwareError, ValueError):
    """A description of a chip, or its file, is wrong or unknown."""


class UnsupportedNodeError(HardwareError, ValueError):
    """A node, a reset or a connection is one that the chip cannot do; the message says what can be done."""


class QuantizationError(HardwareError, ValueError):
    """A network in fixed point is wrong, or the chip's registers cannot hold a value."""


class CapacityError(HardwareError, ValueError):
    """Something does not fit: the message names block, limit, used, allowed and the smallest change that fits."""


class MappingFileError(HardwareError, ValueError):
    """A file of a mapping is foreign, damaged, or of another version."""


class LavaError(HardwareError, RuntimeError):
    """Lava's simulator failed in its worker process, or cannot run what it was given."""


class LavaTimeoutError(LavaError, TimeoutError):
    """Lava's simulator did not answer in time; its worker process was stopped."""


class MissingPackageError(HardwareError, ImportError):
    """An optional package is missing; the message says what for and how to install it."""
