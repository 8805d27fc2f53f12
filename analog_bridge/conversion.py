"""From a conventional network to a spiking one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analog_bridge.converted import noted
from analog_bridge.converters import (
    CODES,
    Built,
    CountingForm,
    Signed,
    build_graph,
    counting_form,
    on_grid,
    whole_form,
)
from analog_bridge.errors import ConversionError
from analog_bridge.ingest import ingest, ingest_file
from analog_bridge.inputs import NetworkInput, NetworkInputs, Samples
from analog_bridge.layers import Layer, LayerGraph, Quantizer
from analog_bridge.quantization import Method as ThresholdMethod
from analog_bridge.quantization import calibrate
from analog_bridge.quantization.signs import split_signed
from analog_bridge.spiking import Conversion

if TYPE_CHECKING:
    import torch

__all__ = ["Method", "convert", "convert_layers", "quantise_input"]

Method = Literal["signed", "two_phase", "radix", "integer", "first_spike", "sigma_delta", "rate"]

_INPUT_COUNTS = 255
_SIGNED = ("signed", "sigma_delta")  # their spikes may be negative


def convert(
    model: torch.nn.Module | LayerGraph | str | Path,
    example: Any = None,
    *,
    calibration: Samples,
    method: Method = "signed",
    levels: int | Mapping[str, int] | None = None,
    per_channel: bool = True,
    thresholds: ThresholdMethod = "squared_error",
    correct_bias: bool = True,
    weight_bits: int | None = None,
    input_counts: int = _INPUT_COUNTS,
    n_steps: int | None = None,
    drive_steps: int | None = None,
    progress: bool = False,
) -> Conversion:
    """Convert a conventional network into a spiking one.

    The network is taken over layer by layer, its activations are counted in a few levels whose thresholds fit the
    calibration data (no labels are needed, nothing is trained), and the counts are carried by spikes. The spiking
    network equals the quantised one in the sense that `convert_layers` says for each method; what quantising costs in
    accuracy, `measure_conversion` says. Where spikes have no sign, an activation that may be negative is counted by two
    populations, one for either sign.

    Parameters
    ----------
    model : torch module, LayerGraph, or path
        The trained network: a module in evaluation mode, what `ingest` returned, or a file (``.onnx``, ``.pt2``, Keras
        ``.h5``).
    example : tensor or array, optional
        What the module is called with: one sample or a batch; needed for a torch module.
    calibration : array, shape ``(n, *shape)``, or dict of arrays
        A sample of what the network will see, some hundred; never test data. With several inputs a dict by name.
    method : {'signed', 'two_phase', 'radix', 'integer', 'first_spike', 'sigma_delta', 'rate'}
        How spikes carry counts, see `convert_layers`.
    levels : int or dict of int, optional
        Largest count of each activation: one for all, or by name. Default 16, and 15 for 'radix'.
    per_channel : bool
        Whether each channel has a threshold of its own.
    thresholds : {'squared_error', 'balanced'}
        How thresholds are chosen, see `analog_bridge.quantization.threshold_of`.
    correct_bias : bool
        Whether the mean errors that quantising makes are taken out of the biases.
    weight_bits : int, optional
        As in `convert_layers`: whole numbers throughout, so that the result is equal bit for bit.
    input_counts : int
        With whole numbers, into how many counts the largest value of the input goes at least (see `quantise_input`);
        few leave more room in a chip's registers.
    n_steps, drive_steps : int, optional
        As in `convert_layers`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Conversion
        The spiking graph, and how to run, read and verify it.

    Raises
    ------
    UnsupportedLayerError
        The network holds a layer that cannot be taken over.
    CalibrationError
        Calibration data are empty, of another shape or not finite, or an activation is dead.
    ConversionError
        A layer cannot be converted by this method, or an argument does not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> samples = np.random.default_rng(0).random((50, 2), dtype=np.float32)
    >>> conversion = convert(net, torch.zeros(1, 2), calibration=samples, method="integer")
    >>> conversion.verify(samples).n_mismatches
    0
    """
    _check(method, n_steps, drive_steps)
    original = _layers_of(model, example)
    chosen = (15 if method == "radix" else 16) if levels is None else levels
    samples = calibration if isinstance(calibration, Mapping) else np.asarray(calibration)
    quantised = calibrate(
        original if method in _SIGNED else split_signed(original),
        samples,
        levels=chosen,
        per_channel=per_channel,
        method=thresholds,
        correct_bias=correct_bias,
        progress=progress,
    )
    if method == "integer" or weight_bits is not None:
        quantised = quantise_input(quantised, samples, n_counts=input_counts)
    conversion = convert_layers(
        quantised, method=method, weight_bits=weight_bits, n_steps=n_steps, drive_steps=drive_steps
    )
    return replace(conversion, original=original)


def _layers_of(model: Any, example: Any) -> LayerGraph:
    if isinstance(model, LayerGraph):
        return model
    if isinstance(model, (str, Path)):
        return ingest_file(model, example=example)
    if example is None:
        raise ConversionError(
            "convert: needs an example of what the module is called with; pass convert(model, example, ..)"
        )
    return ingest(model, example)


def convert_layers(
    quantised: LayerGraph,
    *,
    method: Method = "signed",
    weight_bits: int | None = None,
    n_steps: int | None = None,
    drive_steps: int | None = None,
) -> Conversion:
    """Convert a network whose activations are already quantised.

    In what sense the result is exact with respect to `quantised`:

    - 'two_phase': each neuron collects, then sends its count as that many spikes without gaps. After the last step
      every neuron has sent exactly the count of the quantised network.
    - 'signed': spikes of either sign, readable after any step. When no spike is under way, the spikes of each neuron
      add up to the count of the quantised network.
    - 'radix': the count in binary, ``log2(levels + 1)`` steps per layer. As 'two_phase'.
    - 'first_spike': the count as the time of one spike. As 'two_phase'.
    - 'integer': 'two_phase' with weights of 8 bits: whole numbers throughout, so that the result has the same bits.
    - 'sigma_delta': for video, one step per frame, neurons send changes. After each frame the changes of a neuron add
      up to the count of the quantised network for this frame.
    - 'rate': plain rate coding, for comparison. Not exact: rates approach the activations.

    All but 'rate' are exact for real numbers. In float32 a sum that lies within rounding errors of the border between
    two counts may fall on the other side; with `weight_bits` all sums are exact and no count can differ.

    Parameters
    ----------
    quantised : LayerGraph
        With a Quantizer in the place of each Activation.
    method : {'signed', 'two_phase', 'radix', 'integer', 'first_spike', 'sigma_delta', 'rate'}
        How spikes carry counts.
    weight_bits : int, optional
        From 2 to 16: round weights to whole numbers of so many bits times a power of two for each output channel.
        This is another network, `Conversion.quantised` is its conventional form. Needs a quantised input
        (`quantise_input`). 8 for 'integer', otherwise None: weights as they are.
    n_steps : int, optional
        Steps of a run: for 'rate' (default 32) as many as one likes, for 'signed' the steps that are always run
        (default: as many as it takes in most cases). The others need a fixed number.
    drive_steps : int, optional
        For 'signed': in how many steps the input and the biases come, a power of two; by default the one next to the
        largest number of levels.

    Returns
    -------
    Conversion
        The spiking graph, and how to run and verify it.

    Raises
    ------
    ConversionError
        A layer cannot be converted by this method, or an argument does not fit the method.
    """
    _check(method, n_steps, drive_steps)
    bits = 8 if method == "integer" and weight_bits is None else weight_bits
    code = CODES["two_phase" if method == "integer" else method]
    shown = 1
    if isinstance(code, Signed):
        levels = [layer.n_levels for layer in quantised.layers if isinstance(layer, Quantizer)]
        shown = _power_of_two(drive_steps, max(levels, default=1))
        code = replace(code, drive_steps=shown)
    form, lifts = _form_of(quantised, bits)
    built = build_graph(form, code, lifts=lifts)
    notes: dict[str, str | int | float] = {
        "method": "two_phase" if method == "integer" else method,
        "guarantee": code.guarantee,
        "n_steps": _steps_of(method, form, built, shown, n_steps),
        "drive_steps": shown,
        "weight_bits": bits or 0,
        "inputs": _inputs_of(form).note,
        "output": built.readouts[form.layers.outputs[0]],
        "outputs": json.dumps({name: built.readouts[form.outputs[name]] for name in quantised.outputs}),
    }
    return Conversion(
        graph=noted(built.graph if bits is None else on_grid(built.graph), notes),
        quantised=quantised if bits is None else form.layers,
        form=form,
        built=built,
        original=None,
        quantised_layers=quantised,
    )


def _form_of(
    quantised: LayerGraph, bits: int | None
) -> tuple[CountingForm, dict[str, NDArray[np.float64]] | None]:
    """The network as sums of counts, in whole numbers if it has weights of so many bits; and their powers of two."""
    form = counting_form(quantised)
    if bits is None:
        return form, None
    if not form.is_counted:
        raise ConversionError(
            "convert: whole numbers need a quantised input; call quantise_input(layers, samples) first"
        )
    whole = whole_form(form, weight_bits=bits)
    return whole.form, whole.lifts


def _steps_of(method: Method, form: CountingForm, built: Built, shown: int, n_steps: int | None) -> int:
    """Steps of a run: as many as asked for where that may be chosen."""
    steps = built.last_step + 1
    if method == "signed":
        n_quantizers = sum(isinstance(layer, Quantizer) for layer in form.layers.layers)
        steps = shown + n_quantizers if n_steps is None else n_steps
    elif method == "rate":
        steps = 32 if n_steps is None else n_steps
    if steps < shown:
        raise ConversionError(
            f"convert: n_steps must be >= drive_steps = {shown}, or samples are not shown whole; got {steps}"
        )
    return steps


def _inputs_of(form: CountingForm) -> NetworkInputs:
    found = []
    for layer in form.layers.inputs:
        unit, limits = form.inputs[layer.name]
        coded = (unit, *limits) if limits is not None else ()
        found.append(NetworkInput(layer.name, layer.shape, *coded))
    return NetworkInputs(found)


def _check(method: str, n_steps: int | None, drive_steps: int | None) -> None:
    if method not in get_args(Method):
        raise ConversionError(f"convert: method must be one of {', '.join(get_args(Method))}, got {method!r}")
    if n_steps is not None and method not in ("signed", "rate"):
        raise ConversionError(
            f"convert: n_steps has no meaning for method={method!r}, its levels say how long it takes"
        )
    if drive_steps is not None and method != "signed":
        raise ConversionError(f"convert: drive_steps has no meaning for method={method!r}, only for 'signed'")
    for label, value in (("n_steps", n_steps), ("drive_steps", drive_steps)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ConversionError(f"convert: {label} must be a whole number >= 1, got {value!r}")


def _power_of_two(asked: int | None, levels: int) -> int:
    if asked is None:
        return 1 << round(np.log2(levels))
    if asked & (asked - 1):
        raise ConversionError(f"convert: drive_steps must be a power of two, got {asked}")
    return asked


def quantise_input(layers: LayerGraph, samples: Samples, *, n_counts: int = _INPUT_COUNTS) -> LayerGraph:
    """Put a Quantizer behind each input: whole multiples of a power of two.

    Parameters
    ----------
    layers : LayerGraph
        A network.
    samples : array, shape ``(n, *shape)``, or dict of arrays
        Data that say how large values get; with several inputs a dict by their names.
    n_counts : int
        The largest value becomes at least so many counts, and less than twice as many.

    Returns
    -------
    LayerGraph
        A new one; `layers` itself if its inputs are quantised already.

    Raises
    ------
    ConversionError
        Samples that are no dict for several inputs, or are empty, not finite or all zero.
    """
    names = [entry.name for entry in layers.inputs]
    if not isinstance(samples, Mapping):
        if len(names) > 1:
            raise ConversionError(
                f"quantise_input: the network has {len(names)} inputs; give samples as a dict by name: "
                f"{', '.join(names)}"
            )
        samples = {names[0]: samples}
    quantizers = {name: _coding(layers, name, samples, n_counts) for name in names}
    coded = {name: found.name for name, found in quantizers.items() if found is not None}
    if not coded:
        return layers
    made: list[Layer] = []
    for layer in layers.layers:
        inputs = tuple(coded.get(name, name) for name in layer.inputs)
        made.append(layer if inputs == layer.inputs else replace(layer, inputs=inputs))
        found = quantizers.get(layer.name)
        if found is not None:
            made.append(found)
    return LayerGraph(tuple(made), tuple(coded.get(name, name) for name in layers.outputs), layers.notes)


def _coding(
    layers: LayerGraph, name: str, samples: Mapping[str, ArrayLike], n_counts: int
) -> Quantizer | None:
    """The Quantizer of an input; None if it has one."""
    readers = layers.consumers[name]
    if len(readers) == 1 and isinstance(layers[readers[0]], Quantizer):
        return None
    if name not in samples:
        raise ConversionError(
            f"quantise_input: samples lack the input {name!r}; they hold {', '.join(samples)}"
        )
    values = np.asarray(samples[name], np.float64)
    if not values.size or not np.isfinite(values).all() or not values.any():
        raise ConversionError(
            "quantise_input: samples must be finite and not all zero; give some real inputs"
        )
    unit = 2.0 ** np.floor(np.log2(np.abs(values).max() / n_counts))
    largest, smallest = int(np.rint(values.max() / unit)), int(np.rint(-values.min() / unit))
    return Quantizer(
        f"{name}.counts", (name,), np.array([unit], np.float32), max(1, largest), max(0, smallest)
    )
