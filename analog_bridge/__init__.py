"""Conventional networks become spiking networks."""

from __future__ import annotations

from analog_bridge.errors import (
    BridgeError,
    CalibrationError,
    ConversionError,
    LayerError,
    MediaError,
    MissingPackageError,
    ModelFileError,
    UnsupportedLayerError,
)

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
