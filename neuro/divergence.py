"""What checking the engine against a reference finds: equality, or the first value that differs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Divergence", "Verification"]


@dataclass(frozen=True)
class Divergence:
    """The first value in which the engine and the reference differ.

    Attributes
    ----------
    step : int
        Step of the recording; in continuous execution the time in microseconds.
    node : str
        The node, the first in topological order that differs in this step.
    quantity : str
        What differs: 'spikes' (or counts, or events) that it hands on, its 'membrane', the 'output' of a sink; in
        networks of populations also a variable by its name, a 'weight', 'clips'; in continuous execution also a
        counter by its name.
    index : tuple of int
        The first neuron that differs: (channel, row, column) or (n,); a synapse for a weight; empty for a count.
    engine, reference : float
        The values on both sides; 0 where no event leaves.
    path : str
        The engine's path, for example 'automatic', 'scatter', 'gather', 'dense', 'integer', 'traced' in layered graphs.
    is_continuous : bool
        Whether `step` is a time.
    """

    step: int
    node: str
    quantity: str
    index: tuple[int, ...]
    engine: float
    reference: float
    path: str
    is_continuous: bool = False

    def __str__(self) -> str:
        when = f"{self.step} us" if self.is_continuous else f"step {self.step}"
        what = "synapse" if self.quantity == "weight" else "neuron"
        where = f", {what} ({', '.join(map(str, self.index))})" if self.index else ""
        return (
            f"{when}, node {self.node!r}{where}: {self.quantity} {_text(self.engine)} in the "
            f"engine (path {self.path}), {_text(self.reference)} in the reference"
        )


@dataclass(frozen=True, repr=False)
class Verification:
    """Whether the engine and the reference agree; true in a condition if they do.

    Attributes
    ----------
    divergence : Divergence or None
        The first difference in (step, topological order), over all paths; None if all values are equal.
    paths : tuple of str
        The engine's paths that were run.
    n_steps : int
        Steps of the recording; in continuous execution its events.
    n_steps_compared : int
        Steps compared: all of them, or up to the end of the chunk that differs.
    n_steps_dropped : int
        Most steps that a temporal attention dropped (their membranes are compared, too).
    n_spikes : int
        Spikes of all spiking nodes in the reference, in the steps compared.
    n_values : int
        Values compared for each path: spikes, membranes and outputs.
    is_continuous : bool
        Whether `n_steps` are events.
    """

    divergence: Divergence | None
    paths: tuple[str, ...]
    n_steps: int
    n_steps_compared: int
    n_steps_dropped: int
    n_spikes: int
    n_values: int
    is_continuous: bool = False

    @property
    def is_equal(self) -> bool:
        """Whether all values were equal."""
        return self.divergence is None

    def __bool__(self) -> bool:
        return self.is_equal

    def __repr__(self) -> str:
        compared = f"{len(self.paths)} engine paths ({', '.join(self.paths)}) x reference"
        dropped = f" ({self.n_steps_dropped} dropped)" if self.n_steps_dropped else ""
        if self.divergence is None:
            unit = "events" if self.is_continuous else "steps"
            return (
                f"Verification(equal: {compared}, {self.n_steps} {unit}{dropped}, {self.n_spikes} spikes, "
                f"{self.n_values} values)"
            )
        return f"Verification(NOT equal: {compared}; first divergence: {self.divergence})"


def _text(value: float) -> str:
    """The shortest decimal number that is this float32, or this float64 where it is none."""
    with np.errstate(over="ignore"):
        short = np.float32(value)
    return str(short) if short == value or np.isnan(short) else repr(float(value))
