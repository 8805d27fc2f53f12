"""What conversion costs and what it changes: accuracy over time, spikes, operations, energy, errors by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.agreement import Agreement, compare, joined
from analog_bridge.errors import ConversionError
from analog_bridge.evaluation import evaluate
from analog_bridge.inputs import Samples
from analog_bridge.layers import Activation, Convolution, Dense, LayerGraph, Quantizer
from analog_bridge.spiking import Conversion
from neuro.costs import ENERGY_MODELS, conventional_work, spiking_work

__all__ = ["ConversionReport", "measure_conversion"]

_FLOAT_BITS = 32
_BATCH = 128


@dataclass(frozen=True)
class ConversionReport:
    """A converted network on given data, beside the networks it was made from.

    Attributes
    ----------
    method, guarantee : str
        How spikes carry counts, and in what sense the result is exact.
    n_samples, n_steps : int
        Samples measured, and steps of a run.
    accuracy_original, accuracy_quantised, accuracy_spiking : float or None
        Fractions; None without labels, or (original) where only the quantised network is known.
    accuracy_over_time, agreement_over_time : tuple of float
        After each step: accuracy (empty without labels), and the fraction of samples that are decided as by the
        quantised network.
    agreement : Agreement
        Every count and output against the quantised network.
    mean_settling_step, last_settling_step : float, int
        Steps after which the output of a sample no longer changes: mean and largest.
    spikes, synaptic_operations : float
        Per sample; operations are those executed.
    spikes_by_layer, operations_by_layer : dict of str to float
        Likewise, by node of the graph.
    dense_operations : int
        Multiplications of the conventional network for a sample, zeros included.
    n_parameters, weight_bits, memory_bits : int
        Weights and biases, bits of a weight, and bits of all of them.
    n_neurons : int
        Spiking neurons.
    energy_pj : dict of str to tuple of (float or None, float or None)
        For each model of `neuro.costs` the energy of a sample: spiking, conventional; None where it has no price.
    layer_errors : dict of str to float
        For each activation the mean difference between the quantised and the original value, relative to the mean
        size of the original; empty where the original is not known.
    """

    method: str
    guarantee: str
    n_samples: int
    n_steps: int
    accuracy_original: float | None
    accuracy_quantised: float | None
    accuracy_spiking: float | None
    accuracy_over_time: tuple[float, ...]
    agreement_over_time: tuple[float, ...]
    agreement: Agreement
    mean_settling_step: float
    last_settling_step: int
    spikes: float
    synaptic_operations: float
    spikes_by_layer: dict[str, float]
    operations_by_layer: dict[str, float]
    dense_operations: int
    n_parameters: int
    weight_bits: int
    memory_bits: int
    n_neurons: int
    energy_pj: dict[str, tuple[float | None, float | None]]
    layer_errors: dict[str, float]

    @property
    def first_disagreement(self) -> str:
        """Where the first count differs, in words; empty if none does."""
        return "" if self.agreement.first is None else str(self.agreement.first)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON.

        Returns
        -------
        dict
            By the names of the attributes.
        """
        return asdict(self) | {"first_disagreement": self.first_disagreement}

    def __str__(self) -> str:
        return "\n".join(f"{name:<28}{value}" for name, value in self.rows())

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values for a table.

        Returns
        -------
        list of (str, str)
            One for each line.
        """
        accuracy = {
            "original": self.accuracy_original,
            "quantised": self.accuracy_quantised,
            "spiking": self.accuracy_spiking,
        }
        known = [(name, value) for name, value in accuracy.items() if value is not None]
        rows = [(f"accuracy, {name}", f"{100 * value:.2f} %") for name, value in known]
        found = self.agreement
        rows += [
            ("counts that differ", f"{found.n_mismatches:,} of {found.n_compared:,}"),
            ("other decisions", f"{found.n_other_decisions} of {found.n_samples} samples"),
            (
                "steps",
                f"{self.n_steps}, settled after {self.mean_settling_step:.1f} (at most {self.last_settling_step})",
            ),
            ("spikes", f"{self.spikes:,.0f} per sample, {self.n_neurons:,} neurons"),
            (
                "synaptic operations",
                f"{self.synaptic_operations:,.0f} per sample, "
                f"{self.dense_operations:,} products in the conventional network",
            ),
            (
                "parameters",
                f"{self.n_parameters:,} of {self.weight_bits} bits, {self.memory_bits / 8192:,.1f} KiB",
            ),
        ]
        if self.first_disagreement:
            rows.append(("first disagreement", self.first_disagreement))
        return rows


def measure_conversion(
    conversion: Conversion, x: Samples, y: ArrayLike | None = None, *, original: LayerGraph | None = None
) -> ConversionReport:
    """Run a converted network and the networks it was made from on the same data.

    Parameters
    ----------
    conversion : Conversion
        Of single samples (not 'sigma_delta').
    x : array, shape ``(n, *shape)``
        Samples; with several inputs a dict by their names.
    y : int array, shape (n,), optional
        Their classes.
    original : LayerGraph, optional
        The network before its activations were quantised; by default the one that `convert` remembers, if any.

    Returns
    -------
    ConversionReport
        All of it.

    Raises
    ------
    ConversionError
        No samples, labels that do not fit, or a conversion for video.
    """
    samples = conversion.inputs.in_line(x)
    labels = None if y is None else np.asarray(y)
    _check(conversion, samples, labels)
    original = conversion.original if original is None else original
    totals = _Totals(conversion)
    for k in range(0, len(samples), _BATCH):
        totals.add(samples[k : k + _BATCH], k)
    quantised = totals.quantised
    right = None if labels is None else (totals.over_time == labels[:, np.newaxis])
    n = len(samples)
    parameters = _n_parameters(conversion)
    bits = conversion.weight_bits or _FLOAT_BITS
    last = totals.final
    return ConversionReport(
        method=conversion.method,
        guarantee=conversion.guarantee,
        n_samples=n,
        n_steps=conversion.n_steps,
        accuracy_original=_accuracy(original, conversion.inputs.by_name(samples), labels),
        accuracy_quantised=None if labels is None else float((quantised == labels).mean()),
        accuracy_spiking=None if labels is None else float((last == labels).mean()),
        accuracy_over_time=() if right is None else tuple(right.mean(axis=0).tolist()),
        agreement_over_time=tuple((totals.over_time == quantised[:, np.newaxis]).mean(axis=0).tolist()),
        agreement=joined(totals.agreements),
        mean_settling_step=float(totals.settled.mean()),
        last_settling_step=int(totals.settled.max()),
        spikes=sum(totals.spikes.values()) / n,
        synaptic_operations=sum(totals.operations.values()) / n,
        spikes_by_layer={name: count / n for name, count in totals.spikes.items()},
        operations_by_layer={name: count / n for name, count in totals.operations.items()},
        dense_operations=int(totals.conventional.total("multiply_accumulates")),
        n_parameters=parameters,
        weight_bits=bits,
        memory_bits=parameters * bits,
        n_neurons=_n_neurons(conversion),
        energy_pj=totals.energies(n),
        layer_errors=_layer_errors(
            conversion.quantised_layers, original, conversion.inputs.by_name(samples[:_BATCH])
        ),
    )


def _n_parameters(conversion: Conversion) -> int:
    layers = [layer for layer in conversion.form.layers.layers if isinstance(layer, (Convolution, Dense))]
    return sum(layer.weight.size + layer.bias.size for layer in layers)


def _n_neurons(conversion: Conversion) -> int:
    return sum(int(np.prod(conversion.graph.shapes[name])) for name in conversion.built.neurons.values())


def _check(conversion: Conversion, samples: NDArray[Any], labels: NDArray[Any] | None) -> None:
    if conversion.method == "sigma_delta":
        raise ConversionError(
            "measure_conversion: takes single samples, 'sigma_delta' runs on video; use Conversion.verify"
        )
    if not samples.ndim or not len(samples):
        raise ConversionError("measure_conversion: needs at least one sample, got none")
    if labels is not None and (labels.shape != (len(samples),) or labels.dtype.kind not in "iu"):
        raise ConversionError(
            f"measure_conversion: y must hold one class for each of the {len(samples)} samples, got {labels.dtype} "
            f"of shape {labels.shape}"
        )


class _Totals:
    """Sums over the samples."""

    def __init__(self, conversion: Conversion) -> None:
        self._conversion = conversion
        self._decided: list[NDArray[np.int64]] = []
        self._steps: list[NDArray[np.int64]] = []
        self._quantised: list[NDArray[np.int64]] = []
        self._final: list[NDArray[np.int64]] = []
        self.agreements: list[Agreement] = []
        self.spikes: dict[str, float] = {}
        self.operations: dict[str, float] = {}
        self._energy: dict[str, list[float]] = {model.name: [] for model in ENERGY_MODELS}
        levels = [layer.n_levels for layer in conversion.form.layers.layers if isinstance(layer, Quantizer)]
        self.conventional = conventional_work(conversion.graph, n_steps=max(levels, default=1))

    def add(self, x: NDArray[Any], start: int) -> None:
        """Run some samples."""
        conversion = self._conversion
        trace = conversion.trace(x)
        self.agreements.append(compare(conversion, x, trace, start))
        expected = conversion.outputs_of_quantised(x)
        self._quantised.append(expected.reshape(len(x), -1).argmax(axis=1))
        self._final.append(trace.outputs.reshape(len(x), -1).argmax(axis=1))
        for result in trace.results:
            said = conversion.over_time(result).reshape(conversion.n_steps, -1)
            self._decided.append(said.argmax(axis=1))
            moves = np.flatnonzero((said[1:] != said[:-1]).any(axis=1))
            self._steps.append(np.array(moves[-1] + 2 if moves.size else 1))
            _add(self.spikes, result.counters.spikes)
            _add(self.operations, result.counters.synaptic_operations)
            work = spiking_work(conversion.graph, result.counters)
            for model in ENERGY_MODELS:
                energy = model.energy(work)
                if energy is not None:
                    self._energy[model.name].append(energy.total_pj)

    @property
    def over_time(self) -> NDArray[np.int64]:
        """Classes after each step, (n, n_steps)."""
        return np.stack(self._decided)

    @property
    def settled(self) -> NDArray[np.int64]:
        """Steps after which the output no longer changes, (n,)."""
        return np.array(self._steps)

    @property
    def quantised(self) -> NDArray[np.int64]:
        """Classes of the quantised network."""
        return np.concatenate(self._quantised)

    @property
    def final(self) -> NDArray[np.int64]:
        """Classes of the spiking network in the end."""
        return np.concatenate(self._final)

    def energies(self, n: int) -> dict[str, tuple[float | None, float | None]]:
        """Return the energy of a sample by model."""
        found: dict[str, tuple[float | None, float | None]] = {}
        for model in ENERGY_MODELS:
            ours, theirs = self._energy[model.name], model.energy(self.conventional)
            found[model.name] = (sum(ours) / n if ours else None, None if theirs is None else theirs.total_pj)
        return found


def _add(total: dict[str, float], counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        total[name] = total.get(name, 0.0) + count


def _accuracy(original: LayerGraph | None, x: Samples, y: NDArray[Any] | None) -> float | None:
    if original is None or y is None:
        return None
    values = evaluate(original, x)[original.outputs[0]]
    return float((values.reshape(len(values), -1).argmax(axis=1) == y).mean())


def _layer_errors(quantised: LayerGraph, original: LayerGraph | None, x: Samples) -> dict[str, float]:
    """Mean differences of activations that both networks have."""
    if original is None:
        return {}
    names = [
        layer.name
        for layer in original.layers
        if isinstance(layer, Activation) and isinstance(quantised.by_name.get(layer.name), Quantizer)
    ]
    before, behind = evaluate(original, x, keep=names), evaluate(quantised, x, keep=names)
    errors = {}
    for name in names:
        size = float(np.abs(before[name]).mean(dtype=np.float64))
        errors[name] = float(np.abs(behind[name] - before[name]).mean(dtype=np.float64)) / max(size, 1e-30)
    return errors
