"""Describe and run spiking networks: graphs, spikes, and the event-driven simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuro.front import on_demand

if TYPE_CHECKING:
    from neuro import costs, graph
    from neuro.divergence import Divergence, Verification
    from neuro.dynamics import (
        BranchGate,
        Dynamics,
        DynamicsReport,
        ExitCalibration,
        ExitRule,
        calibrate_exit,
    )
    from neuro.errors import GraphError, InputError, MissingPackageError, ModelFileError, NeuroError
    from neuro.event_results import EventCounters, EventResult
    from neuro.events import Events
    from neuro.frame_streaming import FrameStream
    from neuro.graph import Graph
    from neuro.monitors import Monitor
    from neuro.results import AttentionReport, Counters, Result, SelectionReport, State
    from neuro.simulator import simulate
    from neuro.spikes import Spikes
    from neuro.streaming import Stream, stream
    from neuro.verification import verify

__all__ = [
    "simulate",
    "stream",
    "Stream",
    "FrameStream",
    "verify",
    "Spikes",
    "Events",
    "Graph",
    "graph",
    "costs",
    "Monitor",
    "Result",
    "Counters",
    "EventResult",
    "EventCounters",
    "AttentionReport",
    "SelectionReport",
    "State",
    "Dynamics",
    "DynamicsReport",
    "ExitRule",
    "BranchGate",
    "ExitCalibration",
    "calibrate_exit",
    "Verification",
    "Divergence",
    "NeuroError",
    "GraphError",
    "InputError",
    "ModelFileError",
    "MissingPackageError",
]

__getattr__ = on_demand(
    __name__,
    {
        "neuro.graph": ("Graph",),
        "neuro.divergence": ("Divergence", "Verification"),
        "neuro.dynamics": (
            "BranchGate",
            "Dynamics",
            "DynamicsReport",
            "ExitCalibration",
            "ExitRule",
            "calibrate_exit",
        ),
        "neuro.errors": ("GraphError", "InputError", "MissingPackageError", "ModelFileError", "NeuroError"),
        "neuro.event_results": ("EventCounters", "EventResult"),
        "neuro.events": ("Events",),
        "neuro.frame_streaming": ("FrameStream",),
        "neuro.monitors": ("Monitor",),
        "neuro.results": ("AttentionReport", "Counters", "Result", "SelectionReport", "State"),
        "neuro.simulator": ("simulate",),
        "neuro.spikes": ("Spikes",),
        "neuro.streaming": ("Stream", "stream"),
        "neuro.verification": ("verify",),
    },
)
