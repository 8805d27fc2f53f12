"""Spiking networks onto chips: fixed point, cores, files, and a proof that nothing changed on the way."""

from __future__ import annotations

from hw import targets
from hw.agreement import LayerReport, QuantizationReport, kept_steps
from hw.emulator import emulate
from hw.errors import (
    CapacityError,
    HardwareError,
    LavaError,
    LavaTimeoutError,
    MappingFileError,
    MissingPackageError,
    QuantizationError,
    TargetError,
    UnsupportedNodeError,
)
from hw.fixed import Connection, FixedGraph, Population
from hw.mapping import Mapping, map_fixed, map_graph
from hw.mapping_files import read_fixed, read_mapping
from hw.netx import read_net, write_net
from hw.proof import Certificate, Difference, verify
from hw.quantization import quantize
from hw.results import Counters, Result
from hw.targets import PriceTable, Target, find_target, load_target, loihi1, loihi2

__all__ = [
    "map_graph",
    "map_fixed",
    "Mapping",
    "verify",
    "Certificate",
    "Difference",
    "read_mapping",
    "read_fixed",
    "read_net",
    "write_net",
    "quantize",
    "QuantizationReport",
    "LayerReport",
    "kept_steps",
    "emulate",
    "Result",
    "Counters",
    "FixedGraph",
    "Population",
    "Connection",
    "targets",
    "Target",
    "PriceTable",
    "loihi1",
    "loihi2",
    "find_target",
    "load_target",
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
