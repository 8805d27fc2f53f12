"""A network in whole numbers as torch computes it: the chip's arithmetic forwards, gradients through its roundings.

torch is needed here; `spikeloom.fine_tuning` imports this module when it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
        Populations of kind 'lif' and 'readout'.

    Raises
    ------
    UserError
        If it has neurons with graded spikes.
    """

    def __init__(self, fixed: hw.FixedGraph) -> None:
        super().__init__()
        graded = [n for n, p in fixed.populations.items() if p.kind not in ("input", "lif", "readout")]
        if graded:
            raise UserError(f"fine-tuning: {graded[0]!r} has graded spikes; LIF neurons are trained")
        self.fixed = fixed
        edges = [(c.source, c.target) for c in fixed.connections]
        parts = components(list(fixed.populations), edges)
        self.parts = [part for part in parts if fixed.populations[part[0]].kind != "input"]
        grids = [step_of(c.weight_bits, c.sign) for c in fixed.connections]
        exact = fixed.unrounded or [c.weights.astype(np.float32) for c in fixed.connections]
        self.weights = nn.ParameterList(
            torch.tensor(values / np.float32(grid)) for values, grid in zip(exact, grids, strict=True)
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
        spikes, found = dict(inputs), dict(inputs)
        n_batch = next(iter(inputs.values())).shape[1]
        for part in self.parts:  # populations that are in a loop with each other, or one that is in none
            neurons = {name: _Neurons(self, name, n_batch) for name in part}
            outer = {name: self._from_outside(name, part, spikes, n_chip, n_batch) for name in part}
            inner = {name: self._from_within(name, part) for name in part}
            for step in range(n_chip):
                for name in part:
                    drive = outer[name][step]
                    for number, lag, mantissas in inner[name]:
                        if step >= lag:
                            before = neurons[self.fixed.connections[number].source].spikes[step - lag]
                            drive = drive + self._summed(number, mantissas, before[None])[0]
                    neurons[name].advance(drive, step)
            for name in part:
                spikes[name] = torch.stack(neurons[name].spikes)
                is_read = self.fixed.populations[name].kind == "readout"
                found[name] = torch.stack(neurons[name].membranes) if is_read else spikes[name]
        return found

    def _from_outside(
        self, name: str, part: Sequence[str], spikes: Mapping[str, torch.Tensor], n_chip: int, n_batch: int
    ) -> torch.Tensor:
        """Return what arrives in each step from populations that come before."""
        total = torch.zeros(n_chip, n_batch, *self.fixed.populations[name].shape)
        for number, c in enumerate(self.fixed.connections):
            if c.target == name and c.source not in part:
                for lag, mantissas in self._by_lag(number):
                    total = total + _later(self._summed(number, mantissas, spikes[c.source]), lag, n_chip)
        return total

    def _from_within(self, name: str, part: Sequence[str]) -> list[tuple[int, int, torch.Tensor]]:
        """Return the connections of a loop that end at a population: number, steps on the way, weights."""
        return [
            (number, lag, mantissas)
            for number, c in enumerate(self.fixed.connections)
            if c.target == name and c.source in part
            for lag, mantissas in self._by_lag(number)
        ]

    def _by_lag(self, number: int) -> list[tuple[int, torch.Tensor]]:
        """Return the weights of a connection by the steps that a spike is on the way: one, and the delay."""
        c, mantissas = self.fixed.connections[number], self.mantissas(number)
        if self.fixed.profile != "lava":
            exact = mantissas * 2.0**c.weight_exponent
            mantissas = _through(torch.floor(exact), exact)
        if isinstance(c.delay, int):
            return [(1 + c.delay, mantissas)]
        return [(1 + int(delay), mantissas * torch.tensor(c.delay == delay)) for delay in np.unique(c.delay)]

    def _summed(self, number: int, mantissas: torch.Tensor, spikes: torch.Tensor) -> torch.Tensor:
        """Return the sums that spikes make, shape (n_steps, batch, ...); with the rules of Lava these are shifted."""
        c = self.fixed.connections[number]
        if not c.is_graded:
            spikes = _through((spikes != 0).to(spikes.dtype), spikes)
        sums = self._applied(number, mantissas, spikes)
        if self.fixed.profile != "lava":
            return sums
        exact = sums * 2.0**c.weight_exponent
        return _through(torch.floor(exact), exact)

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

    def register(self, name: str, key: str) -> torch.Tensor:
        """Return a register of all neurons of a population, float64.

        Parameters
        ----------
        name, key : str
            The population and the register.

        Returns
        -------
        torch.Tensor
            In the population's shape.
        """
        population = self.fixed.populations[name]
        return torch.tensor(population.register(key).reshape(population.shape), dtype=torch.float64)

    def bias(self, name: str) -> torch.Tensor:
        """Return what is added to the membranes of a population in each step, float64.

        Parameters
        ----------
        name : str
            The population.

        Returns
        -------
        torch.Tensor
            In the population's shape, or 0.
        """
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
                name: replace(
                    population,
                    bias_mantissa=np.rint(self.biases[str(k)].clamp(-4096, 4095).numpy()).astype(np.int32),
                )
                if str(k) in self.biases
                else population
                for k, (name, population) in enumerate(self.fixed.populations.items())
            }
        return replace(
            self.fixed, populations=populations, connections=connections, report=None, unrounded=()
        )


class _Neurons:
    """A population while it runs: registers, state, and what it has sent."""

    def __init__(self, network: ChipNetwork, name: str, n_batch: int) -> None:
        self.population, self.bounded = network.fixed.populations[name], network.fixed.profile == "lava"
        self.keep_u, self.keep_v = (
            4096 - network.register(name, key) for key in ("current_decay", "membrane_decay")
        )
        self.threshold, self.lowered = (
            64 * network.register(name, key) for key in ("threshold", "subtraction")
        )
        self.hold, self.bias = network.register(name, "refractory_steps"), network.bias(name)
        self.unit = self.threshold.clamp(min=64.0)
        self.u = torch.zeros(n_batch, *self.population.shape, dtype=torch.float64)
        self.v = self.held = self.u
        self.spikes: list[torch.Tensor] = []
        self.membranes: list[torch.Tensor] = []

    def advance(self, drive: torch.Tensor, step: int) -> None:
        """Take a step."""
        if is_reset(self.population, step):
            self.u = self.v = self.held = torch.zeros_like(self.u)
        self.u = _decayed(self.u, self.keep_u) + 64 * drive.double()
        raised = _decayed(self.v, self.keep_v) + self.u + self.bias
        if self.bounded:
            raised = raised.clamp(1 - _LIMIT, _LIMIT - 1)
        raised = torch.where(self.held > 0, self.v, raised)
        fired = _fire((raised - self.threshold) / self.unit) * (self.held == 0)
        self.v = raised - fired * (self.lowered if np.any(self.population.subtraction) else raised)
        self.held = torch.where(fired > 0, self.hold, (self.held - 1).clamp(min=0))
        self.spikes.append(fired.float())
        self.membranes.append(self.v)


def is_reset(population: hw.Population, step: int) -> bool:
    """Return whether registers are set to 0 before a step of the chip."""
    interval, offset = population.reset_interval, population.reset_step
    return step == offset or (interval > 0 and step % interval == offset % interval)


def _later(values: torch.Tensor, lag: int, n_steps: int) -> torch.Tensor:
    """Shift values along the steps, cut or filled with zeros to `n_steps`."""
    padded = torch.cat([values.new_zeros(lag, *values.shape[1:]), values])[:n_steps]
    missing = n_steps - padded.shape[0]
    return torch.cat([padded, padded.new_zeros(missing, *padded.shape[1:])]) if missing else padded
