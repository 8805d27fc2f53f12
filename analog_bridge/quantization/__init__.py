"""Networks in counts: calibrated thresholds, integer weights, quantisation-aware training."""

from __future__ import annotations

from analog_bridge.quantization.calibration import calibrate, split_leaky
from analog_bridge.quantization.grid import rounded_units, rounded_weights, snap_to_grid
from analog_bridge.quantization.thresholds import Histogram, Method, threshold_of
from analog_bridge.quantization.training import Epoch, QuantizedTraining, train_quantized

__all__ = [
    "calibrate",
    "snap_to_grid",
    "train_quantized",
    "QuantizedTraining",
    "Epoch",
    "split_leaky",
    "rounded_weights",
    "rounded_units",
    "threshold_of",
    "Histogram",
    "Method",
]
