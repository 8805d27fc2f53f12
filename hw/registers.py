"""Neurons of a Graph as decays, gains and thresholds of a chip's neuron, or why the chip cannot do one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.errors import UnsupportedNodeError
from hw.targets import Target
from neuro.graph import IF, LI, LIF, Clocked, CubaLIF, Node

__all__ = ["Dynamics", "dynamics_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Dynamics:
    """What a neuron does, in registers and in factors for its weights.

    Attributes
    ----------
    current_decay, membrane_decay : int or int array
        Registers.
    gain : float64 array or float
        Factor of weights and biases.
    threshold : float64 array, shape () or (n,)
        Above rest, in the network's units.
    at_least : bool
        Whether the threshold itself fires in the network.
    rest : float
        The network's membrane where the chip's is 0.
    is_readout : bool
        Whether it must never fire.
    refractory_steps : int
        Steps after a spike.
    subtraction : float64 array or None
        What a spike takes off the membrane, in the network's units; None: it is reset to rest.
    decay_error : float
        Largest relative error of a time constant.
    notes : tuple of str
        What differs.
    """

    current_decay: Any
    membrane_decay: Any
    gain: Any
    threshold: Floats
    at_least: bool
    rest: float
    is_readout: bool
    refractory_steps: int
    subtraction: Floats | None
    decay_error: float
    notes: tuple[str, ...]

    def rounded_threshold(self, scale: float) -> NDArray[np.int64]:
        """Return the register: ``v >= threshold`` becomes ``v > threshold - 1`` on the grid of whole units."""
        exact = np.atleast_1d(self.threshold * scale)
        found = np.ceil(exact - 1e-9) - 1 if self.at_least else np.rint(exact)
        return np.asarray(np.maximum(found, 0), np.int64)

    def rounded_subtraction(self, scale: float) -> NDArray[np.int64]:
        """Return the register: 0 for a reset to rest."""
        if self.subtraction is None:
            return np.zeros(1, np.int64)
        return np.atleast_1d(np.maximum(np.rint(self.subtraction * scale), 1).astype(np.int64))


def dynamics_of(  # noqa: PLR0917
    name: str, node: Node, shape: tuple[int, ...], dt_s: float, chip: Target, compensate: bool
) -> Dynamics:
    """Translate a neuron.

    Parameters
    ----------
    name, node, shape : str, Node, tuple of int
        The neuron.
    dt_s : float
        Length of a step.
    chip : Target
        The chip.
    compensate : bool
        Whether gains follow the rounded decays.

    Returns
    -------
    Dynamics
        Its registers.

    Raises
    ------
    UnsupportedNodeError
        If the chip cannot do it; with a remedy.
    """
    what = f"{type(node).__name__} {name!r}"
    assert isinstance(node, (IF, LIF, CubaLIF, LI))
    rest = _one(what, "v_leak", getattr(node, "v_leak", 0.0))
    refractory, threshold, subtracted = 0, np.zeros(()), None
    if not isinstance(node, LI):
        _check_reset(what, node, rest, chip)
        refractory = _refractory(what, node, dt_s, chip)
        threshold = _above_rest(what, node, shape, rest)
        subtracted = _spread(node.threshold, shape) if node.reset == "subtract" else None
    notes: list[str] = []
    fractions, gain = _membrane(what, node, shape, dt_s)
    decay, error = _register(what, "tau_mem_s", fractions, 4095, notes)
    current: Any = 4096
    if compensate and not isinstance(node, IF):
        exact = np.where(fractions > 0, fractions, 1.0)
        gain = gain * np.where(decay > 0, decay / 4096 / exact, 1.0)
    if isinstance(node, CubaLIF):
        syn = _fraction(node.tau_syn_s, shape, dt_s, node.update)
        current, current_error = _register(what, "tau_syn_s", syn, 4096, notes)
        error = max(error, current_error)
        gain = gain * (current / 4096 / syn if compensate else 1.0)
        current = _short(current)
    if subtracted is not None:
        notes.append(
            f"{what}: resets by subtraction, which takes a program of its own for {chip.name}'s neurons (Lava has none)"
        )
    if np.size(decay) > 1 or np.ndim(threshold):
        notes.append(
            f"{what}: parameters differ between its {int(np.prod(shape))} neurons; each set takes a register of its "
            "core, those that do not fit go to further cores"
        )
    return Dynamics(
        current, _short(decay), float(gain) if np.ndim(gain) == 0 else gain, threshold,
        getattr(node, "comparison", ">") == ">=", rest, isinstance(node, LI), refractory, subtracted, error,
        tuple(notes),
    )  # fmt: skip


def _refractory(what: str, node: IF | LIF | CubaLIF, dt_s: float, chip: Target) -> int:
    steps = Clocked(dt_s).steps(node.refractory_s)
    most = chip["refractory_steps"]
    if steps > most:
        raise UnsupportedNodeError(
            f"{what}: a refractory period of {steps} steps, {chip.name} has {most}; shorten it to {most * dt_s:g} s or "
            "use a longer step"
        )
    return steps


def _above_rest(what: str, node: IF | LIF | CubaLIF, shape: tuple[int, ...], rest: float) -> Floats:
    threshold = _spread(node.threshold, shape) - rest
    if (threshold < 0).any():
        raise UnsupportedNodeError(
            f"{what}: fires at rest (threshold below v_leak); the chip's thresholds are >= 0, use a bias instead"
        )
    return np.asarray(threshold)


def _check_reset(what: str, node: IF | LIF | CubaLIF, rest: float, chip: Target) -> None:
    if node.reset == "subtract" and chip.profile == "loihi1":
        raise UnsupportedNodeError(
            f"{what}: {chip.name}'s neuron resets to a value and subtracts nothing; map to loihi2, or train with "
            "reset='value'"
        )
    if node.reset not in ("value", "subtract"):
        raise UnsupportedNodeError(
            f"{what}: reset={node.reset!r} is not one of the chip's neuron; train or convert with reset='value'"
        )
    if node.reset == "value" and (np.asarray(node.v_reset) != rest).any():
        raise UnsupportedNodeError(
            f"{what}: v_reset must equal v_leak = {rest:g} (the chip resets to its state of rest), got {node.v_reset!r}"
        )
    for field in ("v_start", "tau_inh_s"):
        if getattr(node, field, None) is not None:
            raise UnsupportedNodeError(f"{what}: the chip has no {field}; leave it at None")
    if getattr(node, "update", "") == "exact":
        raise UnsupportedNodeError(
            f"{what}: update='exact' is not the chip's step; use 'euler' or 'exponential'"
        )


def _one(what: str, field: str, value: Any) -> float:
    values = np.unique(np.asarray(value, np.float64))
    if values.size != 1:
        raise UnsupportedNodeError(
            f"{what}: {field} must be one number on the chip, got {values.size} different ones; split the layer, or "
            "move the differences into thresholds and biases"
        )
    return float(values[0])


def _spread(parameter: Any, shape: tuple[int, ...]) -> Floats:
    """Return a parameter as a number, or one for each neuron."""
    array = np.asarray(parameter, np.float64)
    return array if array.ndim == 0 else np.broadcast_to(array, shape).reshape(-1).copy()


def _fraction(tau_s: Any, shape: tuple[int, ...], dt_s: float, update: str) -> Floats:
    tau = _spread(tau_s, shape)
    return dt_s / tau if update == "euler" else -np.expm1(-dt_s / tau)


def _membrane(
    what: str, node: IF | LIF | CubaLIF | LI, shape: tuple[int, ...], dt_s: float
) -> tuple[Floats, Any]:
    """Return the part of the membrane that is lost in a step, and the gain of what arrives."""
    if isinstance(node, IF):
        return np.zeros(()), 1.0
    fraction = _fraction(node.tau_mem_s, shape, dt_s, node.update)
    return fraction, 1.0 if node.update == "decay" else fraction


def _register(
    what: str, field: str, fraction: Floats, largest: int, notes: list[str]
) -> tuple[NDArray[np.int64], float]:
    if (fraction > 1).any():
        raise UnsupportedNodeError(
            f"{what}: dt_s is larger than {field}, membranes would change their sign; use a shorter step or "
            "update='exponential'"
        )
    register = np.clip(np.rint(4096 * fraction), 0, largest).astype(np.int64)
    lost = (register == 0) & (fraction > 0)
    if lost.any():
        notes.append(
            f"{what}: {field} is so long that its decay vanishes in 12 bits ({int(lost.sum())} neurons)"
        )
    error = np.abs(register / 4096 - fraction) / np.where(fraction > 0, fraction, 1)
    return register, float(error.max())


def _short(values: Any) -> Any:
    array = np.asarray(values)
    return int(array) if array.ndim == 0 else array
