"""A network in whole numbers as torch computes it: the chip's arithmetic forwards, gradients through its roundings.

torch is needed here; `spikeloom.fine_tuning` imports this module when it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import hw
from hw.topology import components
from hw.weights import step_of, weight_range
from neuro.training.surrogate import Fire
from spikeloom.errors import UserError

__all__ = ["ChipNetwork"]

_SHARPNESS = 2.0  # of the surrogate gradient, as in training
_LIMIT = 2.0**23
_TRAINED = {
    "threshold": 131071,
    "membrane_decay": 4095,
    "current_decay": 4096,
}  # and the largest value of each


def _through(rounded: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """Return `rounded`, with the gradient of `exact`."""
    return exact + (rounded - exact).detach()


def _fire(above: torch.Tensor) -> torch.Tensor:
    fired: torch.Tensor = Fire.apply(above, _SHARPNESS)  # type: ignore[no-untyped-call]
    return fired


def _decayed(x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    exact = x * keep / 4096
    return _through(torch.trunc(exact), exact)


class ChipNetwork(nn.Module):
    """Weights and biases of a FixedGraph as parameters, in units of their grid; spikes are those of `hw.emulate`.

    Parameters
    ----------
    fixed : hw.FixedGraph
        Populations of kind 'lif' and 'readout' without loops.

    Raises
    ------
    UserError
        If it has loops or neurons with graded spikes.
    """

    def __init__(self, fixed: hw.FixedGraph) -> None:
        super().__init__()
        edges = [(c.source, c.target) for c in fixed.connections]
        parts = components(list(fixed.populations), edges)
        loop = next((part for part in parts if len(part) > 1 or (part[0], part[0]) in edges), None)
        if loop is not None:
            raise UserError(f"fine-tuning: {loop[0]!r} is in a loop; networks without loops are trained")
        graded = [n for n, p in fixed.populations.items() if p.kind not in ("input", "lif", "readout")]
        if graded:
            raise UserError(f"fine-tuning: {graded[0]!r} has graded spikes; LIF neurons are trained")
        self.fixed = fixed
        self.order = [name for (name,) in parts if fixed.populations[name].kind != "input"]
        grids = [step_of(c.weight_bits, c.sign) for c in fixed.connections]
        exact = fixed.unrounded or [c.weights.astype(np.float32) for c in fixed.connections]
        self.weights = nn.ParameterList(
            torch.tensor(values / np.float32(grid)) for values, grid in zip(exact, grids, strict=True)
        )
        self.registers = nn.ParameterDict(
            {
                f"{key}_{k}": torch.tensor(float(getattr(population, key)))
                for k, population in enumerate(fixed.populations.values())
                for key in _TRAINED
                if _is_trained(population, key)
            }
        )
        self.biases = nn.ParameterDict(
            {
                str(k): torch.tensor(population.register("bias_mantissa").astype(np.float32))
                for k, population in enumerate(fixed.populations.values())
                if np.any(population.bias)
            }
        )

    def mantissas(self, number: int) -> torch.Tensor:
        """Return the weights of a connection as the chip stores them.

        Parameters
        ----------
        number : int
            Which one.

        Returns
        -------
        torch.Tensor
            Whole numbers on the grid, with straight-through gradients.
        """
        c = self.fixed.connections[number]
        grid = step_of(c.weight_bits, c.sign)
        low, high = weight_range(c.sign)
        exact = self.weights[number].clamp(-(-low // grid), high // grid)
        return _through(torch.round(exact), exact) * grid

    def forward(self, inputs: Mapping[str, torch.Tensor], n_chip: int) -> dict[str, torch.Tensor]:
        """Run a batch.

        Parameters
        ----------
        inputs : mapping of str to torch.Tensor
            float32, shape (n_steps, batch, ...): spikes of each input, in steps of the chip.
        n_chip : int
            Steps of the chip.

        Returns
        -------
        dict of str to torch.Tensor
            Spikes of each population, membranes of readouts; shape (n_chip, batch, ...).
        """
        sent = dict(inputs)
        found = dict(inputs)
        for name in self.order:
            drive: Any = 0.0
            for k, connection in enumerate(self.fixed.connections):
                if connection.target == name:
                    drive = drive + self._arriving(k, sent[connection.source], n_chip)
            spikes, membranes = self._step(name, drive, n_chip)
            sent[name] = spikes
            found[name] = membranes if self.fixed.populations[name].kind == "readout" else spikes
        return found

    def _arriving(self, number: int, spikes: torch.Tensor, n_chip: int) -> torch.Tensor:
        """Return what a connection brings in each step: spikes take a step and the delay."""
        c = self.fixed.connections[number]
        if not c.is_graded:
            spikes = _through((spikes != 0).to(spikes.dtype), spikes)
        mantissas, up = self.mantissas(number), 2.0**c.weight_exponent
        by_sum = self.fixed.profile == "lava"
        if not by_sum:
            exact = mantissas * up
            mantissas = _through(torch.floor(exact), exact)
        total = torch.zeros(())
        for delay in np.unique(c.delay):
            there = None if isinstance(c.delay, int) else torch.tensor(c.delay == delay)
            sums = self._applied(number, mantissas if there is None else mantissas * there, spikes)
            if by_sum:
                exact = sums * up
                sums = _through(torch.floor(exact), exact)
            total = total + _later(sums, 1 + int(delay), n_chip)
        return total

    def _applied(self, number: int, mantissas: torch.Tensor, spikes: torch.Tensor) -> torch.Tensor:
        c, (n_steps, n_batch) = self.fixed.connections[number], spikes.shape[:2]
        shape = self.fixed.populations[c.target].shape
        if c.kind == "conv":
            flat = spikes.reshape(n_steps * n_batch, *spikes.shape[2:])
            result = functional.conv2d(
                flat, mantissas, stride=c.stride, padding=c.padding, dilation=c.dilation, groups=c.groups
            )
            return result.reshape(n_steps, n_batch, *shape)
        if c.kind == "sparse":
            ends = torch.tensor(c.rows).long(), torch.tensor(c.columns).long()
            size = self.fixed.populations[c.target].size, self.fixed.populations[c.source].size
            mantissas = torch.zeros(size).index_put(ends, mantissas, accumulate=True)
        return (spikes.reshape(n_steps, n_batch, -1) @ mantissas.T).reshape(n_steps, n_batch, *shape)

    def _step(self, name: str, drive: torch.Tensor, n_chip: int) -> tuple[torch.Tensor, torch.Tensor]:
        population = self.fixed.populations[name]

        def register(key: str) -> torch.Tensor:
            if _is_trained(population, key):
                return self._register(name, key).double().expand(population.shape)
            return torch.tensor(population.register(key).reshape(population.shape), dtype=torch.float64)

        keep_u, keep_v = 4096 - register("current_decay"), 4096 - register("membrane_decay")
        threshold, hold, lowered = (
            64 * register("threshold"), register("refractory_steps"), 64 * register("subtraction"),
        )  # fmt: skip
        unit, bias = threshold.clamp(min=64.0), self._bias(name)
        u = v = held = torch.zeros_like(drive[0], dtype=torch.float64)
        spikes, membranes = [], []
        for step in range(n_chip):
            if is_reset(population, step):
                u = v = held = torch.zeros_like(u)
            u = _decayed(u, keep_u) + 64 * drive[step].double()
            raised = _decayed(v, keep_v) + u + bias
            if self.fixed.profile == "lava":
                raised = raised.clamp(1 - _LIMIT, _LIMIT - 1)
            raised = torch.where(held > 0, v, raised)
            fired = _fire((raised - threshold) / unit) * (held == 0)
            v = raised - fired * (lowered if np.any(population.subtraction) else raised)
            held = torch.where(fired > 0, hold, (held - 1).clamp(min=0))
            spikes.append(fired.float())
            membranes.append(v)
        return torch.stack(spikes), torch.stack(membranes)

    def _register(self, name: str, key: str) -> torch.Tensor:
        """Return a register that all neurons of a population share, as a whole number with a straight gradient."""
        number = list(self.fixed.populations).index(name)
        exact = self.registers[f"{key}_{number}"].clamp(1, _TRAINED[key])
        return _through(torch.round(exact), exact)

    def _bias(self, name: str) -> torch.Tensor:
        number, population = list(self.fixed.populations).index(name), self.fixed.populations[name]
        if str(number) not in self.biases:
            return torch.zeros((), dtype=torch.float64)
        exact = self.biases[str(number)].clamp(-4096, 4095)
        scale = torch.tensor(2.0 ** population.register("bias_exponent"), dtype=torch.float64)
        return (_through(torch.round(exact), exact).double() * scale).reshape(population.shape)

    def export(self) -> hw.FixedGraph:
        """Return the network with the weights and biases as they are now.

        Returns
        -------
        hw.FixedGraph
            All else as it was; without a report.
        """
        with torch.no_grad():
            connections = tuple(
                replace(c, weights=self.mantissas(k).numpy().astype(np.int16))
                for k, c in enumerate(self.fixed.connections)
            )
            populations = {
                name: self._exported(k, name, population)
                for k, (name, population) in enumerate(self.fixed.populations.items())
            }
        return replace(
            self.fixed, populations=populations, connections=connections, report=None, unrounded=()
        )

    def _exported(self, number: int, name: str, population: hw.Population) -> hw.Population:
        """Return a population with its biases, threshold and decays as they are now."""
        found: dict[str, Any] = {
            key: int(self._register(name, key)) for key in _TRAINED if _is_trained(population, key)
        }
        if str(number) in self.biases:
            biases = self.biases[str(number)].clamp(-4096, 4095)
            found["bias_mantissa"] = np.rint(biases.numpy()).astype(np.int32)
        return replace(population, **found)


def _is_trained(population: hw.Population, key: str) -> bool:
    """Say whether a register is one number for all neurons that may move: what does not leak stays so."""
    value = getattr(population, key)
    if population.kind == "input" or not isinstance(value, int) or not 0 < value < _TRAINED[key]:
        return False
    return key != "threshold" or population.kind == "lif"


def is_reset(population: hw.Population, step: int) -> bool:
    """Return whether registers are set to 0 before a step of the chip."""
    interval, offset = population.reset_interval, population.reset_step
    return step == offset or (interval > 0 and step % interval == offset % interval)


def _later(values: torch.Tensor, lag: int, n_steps: int) -> torch.Tensor:
    """Shift values along the steps, cut or filled with zeros to `n_steps`."""
    padded = torch.cat([values.new_zeros(lag, *values.shape[1:]), values])[:n_steps]
    missing = n_steps - padded.shape[0]
    return torch.cat([padded, padded.new_zeros(missing, *padded.shape[1:])]) if missing else padded
