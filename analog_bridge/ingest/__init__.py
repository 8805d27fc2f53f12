"""Conventional networks from torch, ONNX and Keras as graphs of layers, or an error that names the layer."""

from __future__ import annotations

from analog_bridge.ingest.files import ingest_file
from analog_bridge.ingest.keras_files import ingest_keras
from analog_bridge.ingest.onnx_files import ingest_onnx
from analog_bridge.ingest.tracing import ingest, ingest_exported

__all__ = ["ingest", "ingest_exported", "ingest_onnx", "ingest_keras", "ingest_file"]
