"""Pictures as the input of spiking networks: spikes, cosine coefficients (also straight from JPEG), Haar wavelets."""

from __future__ import annotations

from analog_bridge.images.coding import latency_code, radix_code, radix_weights, rate_code
from analog_bridge.images.jpeg import JpegCoefficients, read_jpeg_coefficients
from analog_bridge.images.transforms import (
    block_dct,
    dct_channels,
    haar,
    inverse_block_dct,
    inverse_haar,
    varying_coefficients,
)

__all__ = [
    "rate_code",
    "latency_code",
    "radix_code",
    "radix_weights",
    "block_dct",
    "inverse_block_dct",
    "dct_channels",
    "varying_coefficients",
    "read_jpeg_coefficients",
    "JpegCoefficients",
    "haar",
    "inverse_haar",
]
