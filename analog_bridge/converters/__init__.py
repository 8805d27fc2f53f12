"""How a quantised network becomes a spiking graph: counts, whole numbers, codes, nodes."""

from __future__ import annotations

from analog_bridge.converters.building import Built, build_graph
from analog_bridge.converters.codes import CODES, Code, Signed
from analog_bridge.converters.counting import CountingForm, counting_form
from analog_bridge.converters.grids import on_grid
from analog_bridge.converters.whole import WholeForm, whole_form

__all__ = [
    "CountingForm",
    "counting_form",
    "WholeForm",
    "whole_form",
    "Code",
    "CODES",
    "Signed",
    "Built",
    "build_graph",
    "on_grid",
]
