"""A converted network: its spiking graph, how it is run, and the proof that it equals the quantised one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import neuro
from analog_bridge.agreement import Agreement, compare, joined
from analog_bridge.converters.building import Built
from analog_bridge.converters.counting import CountingForm
from analog_bridge.errors import ConversionError
from analog_bridge.evaluation import check_batch
from analog_bridge.layers import LayerGraph, Quantizer
from neuro.graph import Graph

__all__ = ["Conversion"]

Floats = NDArray[np.float32]

_MOST_CHUNKS = 64  # of extra steps for signed spikes that are still under way


@dataclass(frozen=True, eq=False, repr=False)
class Conversion:
    """A spiking network made from a conventional one.

    Attributes
    ----------
    graph : neuro.Graph
        What `neuro.simulate` runs; the sum of a readout's outputs over all steps is the result.
    method : str
        How spikes carry counts.
    quantised : LayerGraph
        The network with quantised activations that it equals; for whole numbers in counts of the input.
    form : CountingForm
        The same network in counts.
    built : Built
        Where the layers are in the graph.
    n_steps : int
        Steps of a run (of one frame of a video).
    drive_steps : int
        In how many steps a sample comes: once, or spread over the first steps.
    is_whole : bool
        Whether all numbers are whole in units of a grid, so that equality is bit for bit.
    """

    graph: Graph
    method: str
    quantised: LayerGraph
    form: CountingForm
    built: Built
    n_steps: int
    drive_steps: int
    is_whole: bool

    @property
    def guarantee(self) -> str:
        """In what sense the spiking network equals the quantised one."""
        how = "; bit for bit, since all sums are exact" if self.is_whole else "; up to ties in float32"
        return f"{self.graph.metadata['conversion.guarantee']}{'' if self.method == 'rate' else how}"

    @cached_property
    def output(self) -> str:
        """The readout of the first output."""
        return self.built.readouts[self.form.layers.outputs[0]]

    def encode(self, x: ArrayLike) -> list[neuro.Spikes]:
        """Return the frames of samples: the values, or whole numbers of the input's unit.

        Parameters
        ----------
        x : array, shape (n, *shape), or (n, n_frames, *shape) for 'sigma_delta'
            Samples.

        Returns
        -------
        list of Spikes
            One recording per sample.
        """
        return [self._frames(sample) for sample in self.counts_of_input(x)]

    def counts_of_input(self, x: ArrayLike) -> Floats:
        """Return samples in counts of the input's unit, rounded half up and limited; as they are without one.

        Parameters
        ----------
        x : array, shape (n, *shape), or (n, n_frames, *shape) for 'sigma_delta'
            Samples.

        Returns
        -------
        array
            Of the same shape.
        """
        shape = self.input_shape
        array = np.asarray(x)
        if self.method == "sigma_delta" and array.ndim == len(shape) + 2:
            flat = self._checked(array.reshape(-1, *array.shape[2:]))
            return self._counted(flat).reshape(*array.shape[:2], *shape)
        return self._counted(self._checked(array))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a sample."""
        return self.form.layers.inputs[0].shape

    def _checked(self, x: NDArray[Any]) -> NDArray[Any]:
        (entry,) = self.form.layers.inputs
        return check_batch(self.form.layers, x, owner="Conversion")[entry.name]

    def _counted(self, x: NDArray[Any]) -> Floats:
        limits = self.form.input_limits
        if limits is None:
            return x.astype(np.float32)
        counts = np.floor(x.astype(np.float64) / self.form.input_unit + 0.5)
        return np.clip(counts, *limits).astype(np.float32)

    def _frames(self, sample: Floats) -> neuro.Spikes:
        shape = self.input_shape
        if self.method == "sigma_delta":
            return neuro.Spikes.from_dense(sample.reshape(-1, *shape))
        flat = sample.reshape(-1)
        index = np.flatnonzero(flat).astype(np.int32)
        n_shown = self.n_steps if self.method == "rate" else self.drive_steps
        step = np.repeat(np.arange(n_shown, dtype=np.int32), index.size)
        return neuro.Spikes(step, np.tile(index, n_shown), np.tile(flat[index], n_shown), self.n_steps, shape)

    def run(
        self,
        x: ArrayLike,
        *,
        record: neuro.monitors.Record | None = None,
        dynamics: neuro.Dynamics | None = None,
        n_threads: int = 1,
    ) -> list[neuro.Result]:
        """Run the spiking network on samples, `n_steps` steps each.

        Parameters
        ----------
        x : array, shape (n, *shape), or (n, n_frames, *shape) for 'sigma_delta'
            Samples.
        record : mapping, optional
            As for `neuro.simulate`.
        dynamics : Dynamics, optional
            Likewise; an early exit, for example.
        n_threads : int
            Likewise.

        Returns
        -------
        list of Result
            One per sample.
        """
        return neuro.simulate(
            self.graph, self.encode(x), record=record, dynamics=dynamics, n_threads=n_threads
        )

    def outputs(self, x: ArrayLike, *, n_threads: int = 1) -> Floats:
        """Return the result for samples: the first output of the network.

        Parameters
        ----------
        x : array, shape (n, *shape), or (n, n_frames, *shape) for 'sigma_delta'
            Samples.
        n_threads : int
            Threads that share them.

        Returns
        -------
        float32 array, shape (n, *shape of the output), with an axis of frames for 'sigma_delta'
            What the quantised network gives. Signed spikes that are still under way after `n_steps` are waited for.
        """
        results = self.run(x, n_threads=n_threads)
        if self.method == "sigma_delta":
            return np.stack([self.over_time(one) for one in results])
        found = [self._whole_result(one) for one in results]
        return np.stack(found) / np.float32(self.n_steps if self.method == "rate" else 1)

    def predict(self, x: ArrayLike, *, n_threads: int = 1) -> NDArray[np.int64]:
        """Return the class of samples: the largest output.

        Parameters
        ----------
        x : array, shape (n, *shape), or (n, n_frames, *shape) for 'sigma_delta'
            Samples.
        n_threads : int
            Threads that share them.

        Returns
        -------
        int64 array, shape (n,), or (n, n_frames)
            Classes.
        """
        outputs = self.outputs(x, n_threads=n_threads)
        n_axes = 2 if self.method == "sigma_delta" else 1
        return outputs.reshape(*outputs.shape[:n_axes], -1).argmax(-1).astype(np.int64)

    def over_time(self, result: neuro.Result) -> Floats:
        """Return what the network has said after each step: the running sum of its output.

        Parameters
        ----------
        result : Result
            Of a run.

        Returns
        -------
        float32 array, shape (n_steps, *shape of the output)
            The last one is the result.
        """
        return np.cumsum(result.outputs[self.output], axis=0, dtype=np.float64).astype(np.float32)

    def _whole_result(self, result: neuro.Result) -> Floats:
        """The sum of all outputs, with more steps until no spike is under way."""
        total = result.outputs[self.output].sum(axis=0, dtype=np.float64)
        if self.method == "signed":
            for one in self._rest(result):
                total = total + one.outputs[self.output].sum(axis=0, dtype=np.float64)
        return np.asarray(total, np.float32)

    def _rest(self, result: neuro.Result, record: Any = None) -> list[neuro.Result]:
        """Run on until a step passes without a spike: then nothing changes any more."""
        found: list[neuro.Result] = []
        n_more, shape = 1, self.input_shape
        for _ in range(_MOST_CHUNKS):
            silence = neuro.Spikes(
                np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), n_more, shape
            )
            result = neuro.simulate(self.graph, silence, state=result.state, record=record)
            found.append(result)
            if n_more == 1 and not sum(result.counters.spikes.values()):
                return found
            n_more = 1 if n_more > 1 else self._settling_steps
        raise AssertionError("a network of signed neurons did not settle")

    @property
    def _settling_steps(self) -> int:
        most = max(
            (
                layer.n_levels + layer.n_negative
                for layer in self.form.layers.layers
                if isinstance(layer, Quantizer)
            ),
            default=1,
        )
        return max(2, most)

    def counts(self, x: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Return the count that every neuron has sent, by quantizer of the network.

        Parameters
        ----------
        x : array, shape (n, *shape), or (n, n_frames, *shape) for 'sigma_delta'
            Samples.

        Returns
        -------
        dict of str to array, shape (n, *shape of the layer), with an axis of frames for 'sigma_delta'
            Counts. For 'rate': spikes per step times the number of levels.
        """
        record = dict.fromkeys(self.built.neurons.values(), "spikes")
        parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self.built.neurons}
        for result in self.run(x, record=record):
            pieces = [result, *(self._rest(result, record) if self.method == "signed" else [])]
            for name, neurons in self.built.neurons.items():
                trains = [one.spikes[neurons].to_dense() for one in pieces]
                parts[name].append(self._decoded(name, np.concatenate(trains)))
        return {name: np.stack(found) for name, found in parts.items()}

    def _decoded(self, name: str, train: Floats) -> NDArray[np.float64]:
        layer, node = self.form.layers[name], self.graph.nodes[self.built.neurons[name]]
        assert isinstance(layer, Quantizer)
        step = np.arange(len(train)) - getattr(node, "start_step", 0)
        if self.method == "sigma_delta":
            return np.cumsum(train, axis=0, dtype=np.float64)
        weight = np.ones(len(train))
        if self.method == "radix":
            weight = np.exp2(getattr(node, "n_bits", 0) - 1.0 - step)
        elif self.method == "first_spike":
            weight = layer.n_levels - step.astype(np.float64)
        elif self.method == "rate":
            weight[:] = layer.n_levels / len(train)
        return np.asarray(np.tensordot(weight, train, 1), np.float64)

    def verify(self, x: ArrayLike, *, batch_size: int = 64) -> Agreement:
        """Compare every count and every output with those of the quantised network.

        Parameters
        ----------
        x : array, shape (n, *shape), or (n, n_frames, *shape) for 'sigma_delta'
            Samples.
        batch_size : int
            Samples held at once.

        Returns
        -------
        Agreement
            True in a condition if all counts are equal.

        Notes
        -----
        The quantised network is computed in float64 by `analog_bridge.evaluate`, which shares nothing with the
        engine. Rate coding is no equality: its counts are compared all the same, and most differ.
        """
        samples = np.asarray(x)
        if not samples.ndim or not len(samples):
            raise ConversionError("Conversion.verify: needs at least one sample, got none")
        return joined(
            [compare(self, samples[k : k + batch_size], k) for k in range(0, len(samples), batch_size)]
        )

    def calibrate_exit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        allowed_loss: float = 0.0,
        first_step: int = 1,
        standard_errors: float = 0.0,
    ) -> neuro.ExitCalibration:
        """Choose when a run may end because the result is clear, on a validation part.

        Parameters
        ----------
        x : array, shape (n, *shape)
            Validation samples; never test data.
        y : int array, shape (n,)
            Their classes.
        allowed_loss : float
            Accuracy that may be lost, as a fraction.
        first_step : int
            Steps before the first check.
        standard_errors : float
            Standard errors of the loss to stay clear of the allowed loss.

        Returns
        -------
        neuro.ExitCalibration
            Its rule goes into ``neuro.Dynamics(early_exit=...)``, which `run` takes.

        Raises
        ------
        ConversionError
            If the method is not 'signed': other codes say nothing before their last steps.
        """
        if self.method != "signed":
            raise ConversionError(
                f"calibrate_exit: a network converted by {self.method!r} cannot be read before its end; "
                "use method='signed'"
            )
        readouts = [
            one.outputs[self.output].reshape(len(one.outputs[self.output]), -1) for one in self.run(x)
        ]
        return neuro.calibrate_exit(
            np.stack(readouts),
            np.asarray(y),
            allowed_loss=allowed_loss,
            readout="sum",
            first_step=first_step,
            standard_errors=standard_errors,
        )

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.input_shape))
        n = sum(math.prod(self.graph.shapes[name]) for name in self.built.neurons.values())
        return (
            f"Conversion(method={self.method!r}, input {size}, {n} neurons in {len(self.built.neurons)} populations, "
            f"{self.n_steps} steps; {self.guarantee})"
        )
