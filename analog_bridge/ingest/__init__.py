"""Conventional networks from torch, ONNX and Keras as graphs of layers, or an error that names the layer."""

from __future__ import annotations

from analog_bridge.ingest.tracing import ingest, ingest_exported

__all__ = ["ingest", "ingest_exported"]
