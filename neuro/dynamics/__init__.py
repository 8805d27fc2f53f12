"""What a run may leave out: exit rules with their calibration, and the report of what was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuro.front import on_demand

if TYPE_CHECKING:
    from neuro.dynamics.calibration import (
        ExitCalibration,
        ExitPoint,
        calibrate_exit,
        exit_steps,
        fit_exit_temperature,
    )
    from neuro.dynamics.configuration import Dynamics
    from neuro.dynamics.gates import BranchGate, frame_statistics, open_steps
    from neuro.dynamics.report import DynamicsReport, DynamicsTable, Fractions, tabulate
    from neuro.dynamics.rules import MEASURES, ExitRule, running_certainty

__all__ = [
    "Dynamics",
    "ExitRule",
    "BranchGate",
    "frame_statistics",
    "open_steps",
    "MEASURES",
    "running_certainty",
    "calibrate_exit",
    "ExitCalibration",
    "ExitPoint",
    "exit_steps",
    "fit_exit_temperature",
    "DynamicsReport",
    "DynamicsTable",
    "Fractions",
    "tabulate",
]

__getattr__ = on_demand(
    __name__,
    {
        "neuro.dynamics.calibration": (
            "ExitCalibration",
            "ExitPoint",
            "calibrate_exit",
            "exit_steps",
            "fit_exit_temperature",
        ),
        "neuro.dynamics.configuration": ("Dynamics",),
        "neuro.dynamics.gates": ("BranchGate", "frame_statistics", "open_steps"),
        "neuro.dynamics.report": ("DynamicsReport", "DynamicsTable", "Fractions", "tabulate"),
        "neuro.dynamics.rules": ("MEASURES", "ExitRule", "running_certainty"),
    },
)
