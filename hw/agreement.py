"""How far a network in whole numbers agrees with the one that it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import neuro
from hw.emulator import Engine
from hw.fixed import FixedGraph
from neuro.graph import LI, TEMPORAL, Graph

__all__ = ["LayerReport", "QuantizationReport", "kept_steps", "measure"]


@dataclass
class LayerReport:
    """What quantisation did to one population.

    Attributes
    ----------
    name : str
        The population.
    weights : int
        Number of its weights (of a convolution: of its kernels).
    scale : float
        Weight units for 1.0.
    weight_error : float
        Root of the mean square error of the weights over that of the weights, inputs counted by their activity.
    decay_error, threshold_error : float
        Largest relative errors.
    clipped, vanished : int
        Weights cut to the largest mantissa; weights that became 0.
    membrane_error : float or None
        Root mean square difference of membranes over the threshold (readouts: over their own root mean square), with
        the network's spikes as input. None without calibration.
    spike_agreement : float or None
        ``2 |A and B| / (|A| + |B|)`` of the spikes, with the network's spikes as input.
    network_agreement : float or None
        The same when the whole network runs in whole numbers.
    overflows : int
        Registers that left their range on the calibration recordings.
    """

    name: str
    weights: int = 0
    scale: float = 1.0
    weight_error: float = 0.0
    decay_error: float = 0.0
    threshold_error: float = 0.0
    clipped: int = 0
    vanished: int = 0
    membrane_error: float | None = None
    spike_agreement: float | None = None
    network_agreement: float | None = None
    overflows: int = 0


@dataclass(frozen=True)
class QuantizationReport:
    """What quantisation did.

    Attributes
    ----------
    layers : tuple of LayerReport
        By population, in order.
    n_recordings : int
        Calibration recordings.
    """

    layers: tuple[LayerReport, ...]
    n_recordings: int

    @property
    def spike_agreement(self) -> float | None:
        """The lowest agreement of a layer when the whole network runs in whole numbers; None without calibration."""
        found = [layer.network_agreement for layer in self.layers if layer.network_agreement is not None]
        return min(found, default=None)


def kept_steps(graph: Graph, recording: neuro.Spikes) -> NDArray[np.bool_] | None:
    """Return the steps that the temporal attention behind the Input keeps; None where there is none.

    Parameters
    ----------
    graph : Graph
        The network.
    recording : neuro.Spikes
        What goes in.

    Returns
    -------
    bool, shape (n_steps,), or None
        What the host hands on to the chip.
    """
    if not any(isinstance(node, TEMPORAL) for node in graph.nodes.values()):
        return None
    report = neuro.simulate(graph, recording).attention
    assert report is not None
    return report.kept


def measure(
    graph: Graph, fixed: FixedGraph, recordings: Sequence[neuro.Spikes], layers: dict[str, LayerReport]
) -> tuple[LayerReport, ...]:
    """Fill in what only a run can tell, layer by layer and for the whole network."""
    if not recordings:
        return tuple(layers.values())
    engine = Engine(fixed, fixed.profile)
    spiking = [name for name in layers if not isinstance(graph.nodes[name], LI)]
    sums = {name: np.zeros(8) for name in layers}
    for recording in recordings:
        wanted = {name: ("spikes", "membrane") if name in spiking else "membrane" for name in layers}
        truth = neuro.simulate(graph, recording, record=wanted)
        kept = None if truth.attention is None else truth.attention.kept
        whole = engine.run(recording, kept=kept)
        for name, layer in layers.items():
            given = {other: truth.spikes[other] for other in spiking if other != name}
            alone = engine.run(recording, kept=kept, given=given, record=(name,))
            difference = alone.membranes(name).astype(np.float64) - truth.membranes[name]
            total = sums[name]
            total[0] += (difference**2).sum()
            total[1] += difference.size
            total[2] += (truth.membranes[name].astype(np.float64) ** 2).sum()
            if name in spiking:
                total[3:5] += _common(alone.spikes(name), truth.spikes[name])
                total[5:7] += _common(whole.spikes(name), truth.spikes[name])
            counters = whole.counters
            layer.overflows += counters.current_overflows[name] + counters.membrane_overflows[name]
            layer.overflows += counters.sum_overflows[name]
    for name, layer in layers.items():
        total = sums[name]
        unit = float(np.sqrt(total[2] / total[1])) or 1.0
        if name in spiking:
            node = graph.nodes[name]
            above = np.asarray(node.threshold, np.float64) - np.asarray(getattr(node, "v_leak", 0.0))  # type: ignore[attr-defined]
            unit = float(np.mean(above)) or 1.0
            layer.spike_agreement = float(2 * total[3] / total[4]) if total[4] else 1.0
            layer.network_agreement = float(2 * total[5] / total[6]) if total[6] else 1.0
        layer.membrane_error = float(np.sqrt(total[0] / total[1])) / unit
    return tuple(layers.values())


def _common(a: neuro.Spikes, b: neuro.Spikes) -> tuple[int, int]:
    size = int(np.prod(a.shape))
    first, second = (train.step.astype(np.int64) * size + train.index for train in (a, b))
    return np.intersect1d(first, second, assume_unique=True).size, len(a) + len(b)
