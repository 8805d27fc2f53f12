"""Conventional networks become spiking networks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from analog_bridge.agreement import Agreement, Mismatch
    from analog_bridge.conversion import convert, convert_layers, quantise_input
    from analog_bridge.converted import ConvertedNetwork
    from analog_bridge.evaluation import evaluate
    from analog_bridge.ingest import ingest_file
    from analog_bridge.measurement import ConversionReport, measure_conversion
    from analog_bridge.quantization import calibrate, train_quantized
    from analog_bridge.spiking import Conversion

__all__ = [
    "convert",
    "convert_layers",
    "Conversion",
    "ConvertedNetwork",
    "Agreement",
    "Mismatch",
    "measure_conversion",
    "ConversionReport",
    "ingest_file",
    "evaluate",
    "calibrate",
    "train_quantized",
    "quantise_input",
    "BridgeError",
    "LayerError",
    "UnsupportedLayerError",
    "ModelFileError",
    "MediaError",
    "CalibrationError",
    "ConversionError",
    "MissingPackageError",
]

# what is loaded when it is asked for: the errors alone answer at once
_HOMES = {
    "convert": "conversion",
    "convert_layers": "conversion",
    "quantise_input": "conversion",
    "Conversion": "spiking",
    "ConvertedNetwork": "converted",
    "Agreement": "agreement",
    "Mismatch": "agreement",
    "measure_conversion": "measurement",
    "ConversionReport": "measurement",
    "ingest_file": "ingest",
    "evaluate": "evaluation",
    "calibrate": "quantization",
    "train_quantized": "quantization",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'analog_bridge' has no attribute {name!r}")
    return getattr(importlib.import_module(f"analog_bridge.{_HOMES[name]}"), name)
