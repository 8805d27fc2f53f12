"""Describe and run spiking networks: graphs, spikes, and the event-driven simulator."""

from __future__ import annotations

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
