"""Converting a conventional network, and running one sample through what came out."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeloom.errors import UserError
from spikeloom.samples import Samples, read_sample, read_samples, unnamed_arrays

if TYPE_CHECKING:
    from analog_bridge.layers import LayerGraph
    from analog_bridge.measurement import ConversionReport
    from analog_bridge.spiking import Conversion

__all__ = ["ConversionOrder", "Converted", "SampleDecision", "convert_model", "recognize_sample"]


@dataclass(frozen=True)
class ConversionOrder:
    """What is to be converted, and how.

    Attributes
    ----------
    model, calibration : Path
        The conventional network; data, of which a part is for calibration, another for measurement.
    method : str
        As for `analog_bridge.convert`.
    levels, weight_bits : int or None
        Likewise.
    n_calibration, n_measured : int
        Most samples for each, drawn from the seed; calibration gets at most half of the data.
    seed : int
        Of the draw.
    architecture : Path or None
        What `model.to_json()` gives, for a Keras file of weights only.
    trust : bool
        Whether pickled models may be loaded.
    hard_gates : bool
        Whether hardsigmoid takes the place of sigmoid.
    """

    model: Path
    calibration: Path
    method: Any = "signed"
    levels: int | None = None
    weight_bits: int | None = None
    n_calibration: int = 1000
    n_measured: int = 500
    seed: int = 0
    architecture: Path | None = None
    trust: bool = False
    hard_gates: bool = False

    def command(self, out: Path) -> str:
        """Return the command that gives the same result.

        Parameters
        ----------
        out : Path
            File of the spiking network.

        Returns
        -------
        str
            For a shell.

        Examples
        --------
        >>> ConversionOrder(Path("net.onnx"), Path("my data.npz"), levels=8).command(Path("net.h5"))
        "spikeloom convert net.onnx --calibration 'my data.npz' --out net.h5 --method signed --seed 0 --levels 8"
        """
        words = ["spikeloom", "convert", self.model, "--calibration", self.calibration, "--out", out]
        words += ["--method", self.method, "--seed", self.seed]
        for option, value, usual in (
            ("--levels", self.levels, None),
            ("--weight-bits", self.weight_bits, None),
            ("--calibrate-on", self.n_calibration, 1000),
            ("--measure-on", self.n_measured, 500),
            ("--architecture", self.architecture, None),
        ):
            words += [] if value == usual else [option, value]
        words += ["--hard-gates"] * self.hard_gates + ["--trust"] * self.trust
        return shlex.join(map(str, words))


@dataclass(frozen=True)
class Converted:
    """A conversion and what was measured of it.

    Attributes
    ----------
    conversion : Conversion
        The spiking network.
    report : ConversionReport
        Measured on samples that calibration has not seen.
    n_calibration : int
        Samples used for calibration.
    """

    conversion: Conversion
    report: ConversionReport
    n_calibration: int


@dataclass(frozen=True)
class SampleDecision:
    """What a converted network says of one sample.

    Attributes
    ----------
    label : str
        Name of the class, or its number.
    decided_at, n_steps : int
        Step after which the decision no longer changed, and steps run.
    spikes, synaptic_operations : int
        What was executed.
    seconds : float
        Wall time of the run.
    method : str
        How spikes carry counts.
    """

    label: str
    decided_at: int
    n_steps: int
    spikes: int
    synaptic_operations: int
    seconds: float
    method: str

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values for a table.

        Returns
        -------
        list of (str, str)
            One for each line.
        """
        from spikeloom.console import short_time

        return [
            ("class", self.label),
            ("decided after", f"{self.decided_at} of {self.n_steps} steps ({self.method})"),
            ("spikes", f"{self.spikes:,}"),
            ("synaptic operations", f"{self.synaptic_operations:,}"),
            ("time", short_time(self.seconds)),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values, the label under 'class'.

        Returns
        -------
        dict
            By name.
        """
        values = asdict(self)
        return {"class": values.pop("label"), **values}


def recognize_sample(model: Path, sample: Path) -> SampleDecision:
    """Run a converted network on one sample.

    Parameters
    ----------
    model : Path
        A file of `spikeloom convert`.
    sample : Path
        A picture, ``.npy`` with one sample, or ``.npz`` with an array for each input.

    Returns
    -------
    SampleDecision
        The class and the cost.

    Raises
    ------
    UserError
        The sample is missing, unreadable or of another shape.
    """
    from analog_bridge.converted import ConvertedNetwork

    network = ConvertedNetwork.load(model)
    x = read_sample(sample, {one.name: one.shape for one in network.inputs})
    began = time.perf_counter()
    (result,) = network.run(x)
    seconds = time.perf_counter() - began
    said = network.over_time(result).reshape(network.n_steps, -1).argmax(axis=1)
    decided = int(network.predict(x)[0])
    changes = np.flatnonzero(said != decided)
    return SampleDecision(
        label=network.class_names[decided] if network.class_names else str(decided),
        decided_at=int(changes[-1]) + 2 if changes.size else 1,
        n_steps=network.n_steps,
        spikes=sum(result.counters.spikes.values()),
        synaptic_operations=result.counters.total_synaptic_operations,
        seconds=seconds,
        method=network.method,
    )


def convert_model(order: ConversionOrder, *, on_stage: Callable[[int, int, str], None]) -> Converted:
    """Read, calibrate, convert and measure.

    Parameters
    ----------
    order : ConversionOrder
        What is converted and how.
    on_stage : function of (int, int, str)
        Hears what is being done.

    Returns
    -------
    Converted
        The network and the report.

    Raises
    ------
    UserError
        Fewer than two samples, or samples that do not fit the network.
    BridgeError
        As `analog_bridge.convert`.
    """
    from analog_bridge.conversion import convert
    from analog_bridge.measurement import measure_conversion

    on_stage(0, 4, "reading the network")
    layers = _layers(order)
    on_stage(1, 4, "reading samples")
    samples = read_samples(order.calibration, {one.name: one.shape for one in layers.inputs})
    _check_classes(order, samples, math.prod(layers.shapes[layers.outputs[0]]))
    used, held = _parts(order, samples)
    on_stage(2, 4, "calibrating and converting")
    conversion = convert(
        layers,
        calibration=used.x,
        method=order.method,
        levels=order.levels,
        weight_bits=order.weight_bits,
    )
    if samples.class_names:
        conversion = replace(conversion, graph=conversion.named(samples.class_names).graph)
    on_stage(3, 4, "measuring")
    return Converted(conversion, measure_conversion(conversion, held.x, held.y), len(used))


def _layers(order: ConversionOrder) -> LayerGraph:
    from analog_bridge.ingest import ingest_file

    example: Any = None
    if order.trust and order.model.suffix.lower() in {".pt", ".pth"}:  # these do not say what they take
        arrays = unnamed_arrays(order.calibration, 2)
        example = arrays["x"] if set(arrays) == {"x"} else arrays
    return ingest_file(
        order.model,
        example=example,
        architecture=order.architecture,
        trust=order.trust,
        hard_gates=order.hard_gates,
    )


def _check_classes(order: ConversionOrder, samples: Samples, n_outputs: int) -> None:
    """Raise if classes and outputs do not go together: accuracy and names would be wrong without a word."""
    n = len(samples.class_names)
    if n and n != n_outputs:
        raise UserError(
            f"{order.calibration}: holds {n} folders of classes, the network has {n_outputs} outputs; give one for "
            "each, in the order of the outputs (by name; it may be empty), or all pictures in one folder"
        )
    if samples.y is not None and not n and samples.y.max() >= n_outputs:
        raise UserError(
            f"{order.calibration}: holds class {samples.y.max()}, the network has {n_outputs} outputs "
            "(classes count from 0)"
        )


def _parts(order: ConversionOrder, samples: Samples) -> tuple[Samples, Samples]:
    """Samples to calibrate with, and others to measure on."""
    n = len(samples)
    if n < 2:
        raise UserError(
            f"{order.calibration}: needs two samples or more, one to calibrate and one to measure; it holds {n}"
        )
    shuffled = np.random.default_rng(order.seed).permutation(n).astype(np.int64)
    n_used = min(order.n_calibration, n // 2)
    return samples.part(shuffled[:n_used]), samples.part(shuffled[n_used : n_used + order.n_measured])
