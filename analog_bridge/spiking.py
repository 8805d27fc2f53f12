"""A conversion: the spiking network, the networks it was made from, and the proof that they agree."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

import neuro
from analog_bridge.agreement import Agreement, compare, joined
from analog_bridge.converted import ConvertedNetwork
from analog_bridge.converters.building import Built
from analog_bridge.converters.counting import CountingForm
from analog_bridge.errors import ConversionError
from analog_bridge.evaluation import evaluate
from analog_bridge.inputs import Samples
from analog_bridge.layers import LayerGraph, Quantizer

if TYPE_CHECKING:
    from analog_bridge.measurement import ConversionReport

__all__ = ["Conversion", "Trace"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Runs of a converted network with every spike recorded.

    Attributes
    ----------
    results : list of Result
        One for each sample, `n_steps` steps long.
    counts : dict of str to float64 array
        The count that every neuron has sent in the end, by quantizer.
    all_outputs : dict of str to float32 array
        The results, by output of the network in counts.
    """

    results: list[neuro.Result]
    counts: dict[str, NDArray[np.float64]]
    all_outputs: dict[str, Floats]

    @property
    def outputs(self) -> Floats:
        """The results of the first output."""
        return next(iter(self.all_outputs.values()))


@dataclass(frozen=True, eq=False, repr=False)
class Conversion(ConvertedNetwork):
    """A spiking network made from a conventional one, with all that proves what it is worth.

    Attributes
    ----------
    quantised : LayerGraph
        The network with quantised activations that it equals; for whole numbers in counts of the input.
    form : CountingForm
        The same network in counts.
    built : Built
        Where the layers are in the graph.
    original : LayerGraph or None
        The network before its activations were quantised, where it is known.
    quantised_layers : LayerGraph
        The network as it was quantised, before weights were made whole; `quantised` itself otherwise.
    """

    quantised: LayerGraph
    form: CountingForm
    built: Built
    original: LayerGraph | None
    quantised_layers: LayerGraph

    def counts(self, x: Samples) -> dict[str, NDArray[np.float64]]:
        """Return the count that every neuron has sent, by quantizer of the network.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)`` for 'sigma_delta'
            Samples; with several inputs a dict by their names.

        Returns
        -------
        dict of str to array, shape ``(n, *shape of the layer)``, with an axis of frames for 'sigma_delta'
            Counts. For 'rate': spikes per step times the number of levels.
        """
        return self.trace(x).counts

    def trace(self, x: Samples) -> Trace:
        """Run samples with every spike recorded.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)`` for 'sigma_delta'
            Samples; with several inputs a dict by their names.

        Returns
        -------
        Trace
            The runs, the counts and the results.
        """
        record = dict.fromkeys(self.built.neurons.values(), "spikes")
        parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self.built.neurons}
        outputs: dict[str, list[Floats]] = {name: [] for name in self.built.readouts}
        results = self.run(x, record=record)
        for result in results:
            pieces = [result, *(self.rest(result, record) if self.method == "signed" else [])]
            for name, neurons in self.built.neurons.items():
                trains = [one.spikes[neurons].to_dense() for one in pieces]
                parts[name].append(self._decoded(name, np.concatenate(trains)))
            for name, readout in self.built.readouts.items():
                outputs[name].append(self.result_of(pieces, output=readout))
        counts = {name: np.stack(found) for name, found in parts.items()}
        return Trace(results, counts, {name: np.stack(found) for name, found in outputs.items()})

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

    def verify(self, x: Samples, *, batch_size: int = 64) -> Agreement:
        """Compare every count and every output with those of the quantised network.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``, or ``(n, n_frames, *shape)`` for 'sigma_delta'
            Samples; with several inputs a dict by their names.
        batch_size : int
            Samples held at once.

        Returns
        -------
        Agreement
            True in a condition if all counts are equal; it lists the first 100 that are not.

        Notes
        -----
        The quantised network is computed in float64 by `analog_bridge.evaluate`, which shares nothing with the
        engine. Rate coding is no equality: its counts are compared all the same, and most differ.
        """
        samples = self.arranged(x)
        if not len(samples):
            raise ConversionError("Conversion.verify: needs at least one sample, got none")
        return joined(
            [
                compare(self, samples[k : k + batch_size], self.trace(samples[k : k + batch_size]), k)
                for k in range(0, len(samples), batch_size)
            ]
        )

    def report(self, x: Samples, y: ArrayLike | None = None) -> ConversionReport:
        """Measure the network beside those it was made from: `analog_bridge.measure_conversion`.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``
            Samples that calibration has not seen; with several inputs a dict by their names.
        y : int array, shape (n,), optional
            Their classes.

        Returns
        -------
        ConversionReport
            Accuracy over time, agreement, spikes, operations, energy, errors by layer.
        """
        from analog_bridge.measurement import measure_conversion

        return measure_conversion(self, x, y)

    def outputs_of_quantised(self, x: Samples) -> NDArray[np.float64]:
        """Return what the quantised network gives for samples, computed in float64 without spikes.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``
            Samples.

        Returns
        -------
        float64 array, shape ``(n, *shape of the output)``
            Its first output.
        """
        inputs = self.counts_of_input(x) if self.is_whole else self.arranged(x)
        return evaluate(self.quantised, self.inputs.by_name(inputs), precision="float64")[
            self.quantised.outputs[0]
        ]

    def calibrate_exit(
        self,
        x: Samples,
        y: ArrayLike | None = None,
        *,
        allowed_loss: float = 0.0,
        mean_steps: float | None = None,
        first_step: int | None = None,
        standard_errors: float = 0.0,
    ) -> neuro.ExitCalibration:
        """Choose when a run may end because the result is clear, on a validation part.

        Parameters
        ----------
        x : array, shape ``(n, *shape)``
            Validation samples; never test data.
        y : int array, shape (n,), optional
            Their classes; without them the decisions after all steps, which are what an early end must not change.
        allowed_loss : float
            Accuracy (or agreement) that may be lost, as a fraction.
        mean_steps : float, optional
            Take the strictest threshold that runs at most so many steps in the mean, instead of the fewest steps for
            the allowed loss. Better where the network was trained on samples like those of the validation part, whose
            decisions are clearer than those on new ones.
        first_step : int, optional
            Steps before the first check; by default those after which half of the input has come.
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
        outputs = np.stack([one.outputs[self.output].reshape(self.n_steps, -1) for one in self.run(x)])
        found = neuro.calibrate_exit(
            outputs,
            outputs.sum(axis=1, dtype=np.float64).argmax(axis=1) if y is None else np.asarray(y),
            allowed_loss=allowed_loss,
            readout="sum",
            first_step=max(1, self.drive_steps // 2) if first_step is None else first_step,
            standard_errors=standard_errors,
        )
        if mean_steps is None:
            return found
        within = [point for point in found.curve if point.mean_steps <= mean_steps]
        if not within:
            least = min(point.mean_steps for point in found.curve)
            raise ConversionError(
                f"calibrate_exit: no threshold runs at most {mean_steps:g} steps in the mean, the fewest are "
                f"{least:g}; ask for more, or lower first_step"
            )
        point = max(within, key=lambda one: one.threshold)
        return replace(found, rule=replace(found.rule, threshold=point.threshold), chosen=point)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.input_shape))
        n = sum(math.prod(self.graph.shapes[name]) for name in self.built.neurons.values())
        return (
            f"Conversion(method={self.method!r}, input {size}, {n} neurons in {len(self.built.neurons)} populations, "
            f"{self.n_steps} steps; {self.guarantee})"
        )
