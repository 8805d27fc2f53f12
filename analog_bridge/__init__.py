"""Conventional networks become spiking networks."""

from __future__ import annotations

from analog_bridge.errors import (
    BridgeError,
    CalibrationError,
    ConversionError,
    MissingPackageError,
    UnsupportedLayerError,
)

__all__ = [
    "BridgeError",
    "UnsupportedLayerError",
    "CalibrationError",
    "ConversionError",
    "MissingPackageError",
]
