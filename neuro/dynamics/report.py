"""Which part of a run was computed, for one recording and as a table for many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

__all__ = ["DynamicsReport", "DynamicsTable", "Fractions", "tabulate"]


@dataclass(frozen=True)
class Fractions:
    """Which fraction was computed; each of what the ones before it left over, but operations of everything.

    Attributes
    ----------
    steps : float
        Steps run, of the steps offered: less than 1 after an early exit.
    frames : float
        Frames computed, of the steps run: less than 1 where attention dropped frames.
    layers : float
        (Frame, layer) pairs computed, of those of computed frames.
    channels, pixels : float
        Channels and pixels with an entry that channel and spatial attention kept, of those they looked at; 1
        without such attention.
    active_pixels : float
        (Layer, output pixel) pairs with a contribution, of those of the layers computed: the rest was skipped in space.
    events : float
        Input events in computed frames, of all events of the recording (the sum of the counts).
    synaptic_operations : float
        Operations executed, of those of a computation of every step that does not look at zeros.
    """

    steps: float
    frames: float
    layers: float
    channels: float
    pixels: float
    active_pixels: float
    events: float
    synaptic_operations: float


@dataclass(frozen=True)
class DynamicsReport:
    """What was computed of one recording.

    Attributes
    ----------
    n_frames : int
        Steps offered: the frames of the recording.
    n_steps : int
        Steps run. All outputs, recordings and counters of the Result are those of these steps.
    n_computed : int
        Steps run that attention did not drop.
    exit_step : int or None
        Number of steps after which the rule ended the run; None if it ran to the end.
    exit_head : str or None
        The sink whose readout ended the run before the ones behind it were computed.
    certainty : float
        What the rule saw at its last check; NaN without a check.
    n_near_threshold : int
        Checks whose certainty lies within 1e-9 of the threshold: another implementation may decide them differently.
    events_total, events_computed : float
        Sums of the values of all frames, and of the computed ones.
    layer_steps : mapping of str to int
        Steps in which each Linear and Conv2d was computed.
    active_pixels : mapping of str to int
        For each of them, the (step, output pixel) pairs with a contribution.
    output_pixels : mapping of str to int
        Its output pixels.
    channels_seen, channels_kept : int
        Channels with an entry that channel attention looked at, over all computed steps, and those it kept.
    pixels_seen, pixels_kept : int
        Likewise pixels and spatial attention.
    synaptic_operations : int
        Operations executed.
    spike_driven_operations : int
        Input entries times nominal fan-out.
    dense_operations : int
        Operations of a computation of all `n_frames` that does not look at zeros (taps inside the frame).
    synaptic_operations_without : int or None
        Operations executed without dynamics, counted in a second run; None unless ``Dynamics.compare``.
    spike_driven_operations_without : int or None
        Likewise.
    """

    n_frames: int
    n_steps: int
    n_computed: int
    exit_step: int | None
    exit_head: str | None
    certainty: float
    n_near_threshold: int
    events_total: float
    events_computed: float
    layer_steps: Mapping[str, int]
    active_pixels: Mapping[str, int]
    output_pixels: Mapping[str, int]
    channels_seen: int
    channels_kept: int
    pixels_seen: int
    pixels_kept: int
    synaptic_operations: int
    spike_driven_operations: int
    dense_operations: int
    synaptic_operations_without: int | None = None
    spike_driven_operations_without: int | None = None

    @property
    def is_all_dropped(self) -> bool:
        """Whether no frame was computed: the outputs are those of a network at rest."""
        return self.n_computed == 0

    @property
    def fractions(self) -> Fractions:
        """Which fraction of steps, frames, layers, channels, pixels, events and operations was computed."""
        outputs = sum(steps * self.output_pixels[name] for name, steps in self.layer_steps.items())
        return Fractions(
            steps=_ratio(self.n_steps, self.n_frames),
            frames=_ratio(self.n_computed, self.n_steps),
            layers=_ratio(sum(self.layer_steps.values()), len(self.layer_steps) * self.n_computed),
            channels=_ratio(self.channels_kept, self.channels_seen),
            pixels=_ratio(self.pixels_kept, self.pixels_seen),
            active_pixels=_ratio(sum(self.active_pixels.values()), outputs),
            events=_ratio(self.events_computed, self.events_total),
            synaptic_operations=_ratio(self.synaptic_operations, self.dense_operations),
        )

    def __str__(self) -> str:
        found = self.fractions
        ended = f", ended after {self.exit_step}" if self.exit_step is not None else ""
        ended += f", ended at {self.exit_head!r}" if self.exit_head is not None else ""
        lost = "; every frame was dropped, the readout is at rest" if self.is_all_dropped else ""
        return (
            f"{self.n_computed} of {self.n_frames} frames computed{ended}; {100 * found.events:.1f} % of the events, "
            f"{100 * found.active_pixels:.1f} % of the output pixels, {self.synaptic_operations:,} synaptic operations "
            f"({100 * found.synaptic_operations:.2f} % of dense){lost}"
        )


@dataclass(frozen=True, repr=False)
class DynamicsTable:
    """The reports of a batch: a row for each recording and their mean.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns.
    rows : tuple of tuple of float
        One row per recording; fractions from 0 to 1, operations as numbers.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of every column."""
        return tuple(math.fsum(column) / len(self.rows) for column in zip(*self.rows, strict=True))

    def __str__(self) -> str:
        lines = [("recording", *self.columns)]
        lines += [(str(k), *map(_short, row)) for k, row in enumerate(self.rows)]
        lines.append(("mean", *map(_short, self.mean)))
        widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
        return "\n".join(
            "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in lines
        )

    __repr__ = __str__


def tabulate(reports: Sequence[DynamicsReport]) -> DynamicsTable:
    """Put the reports of a batch side by side.

    Parameters
    ----------
    reports : sequence of DynamicsReport
        ``[result.dynamics for result in results]``; at least one.

    Returns
    -------
    DynamicsTable
        `str()` of it is a plain text table.

    Raises
    ------
    ValueError
        If there is no report.
    """
    if not reports:
        raise ValueError("tabulate: needs the report of at least one recording")
    names = tuple(field.name for field in fields(Fractions))
    columns = (*names[:-1], "synaptic_operations", "spike_driven_operations")
    rows = [
        (
            *(float(getattr(report.fractions, name)) for name in names[:-1]),
            float(report.synaptic_operations),
            float(report.spike_driven_operations),
        )
        for report in reports
    ]
    return DynamicsTable(columns, tuple(rows))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def _short(number: float) -> str:
    return f"{number:.3f}" if number <= 1 else f"{number:,.0f}"
