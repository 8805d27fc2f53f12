"""From a Graph to the integers of a chip's registers, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neuro
from hw.agreement import LayerReport, QuantizationReport, measure
from hw.errors import QuantizationError
from hw.fixed import NEVER, Connection, FixedGraph, Population
from hw.host import split_readout
from hw.operators import Operator, operator_of
from hw.paths import Route, check_codes, check_nodes, constant_into, depths_by_delay, neurons_of, routes_into
from hw.registers import Dynamics, dynamics_of
from hw.targets import Target, find_target
from hw.weights import sign_of, step_of, weight_range
from neuro.graph import LI, TEMPORAL, Graph, fold_pooling

__all__ = ["quantize"]

Floats = NDArray[np.float64]
_CANDIDATES = 24  # scales tried within a factor of two
_GATE = "host gate"


def quantize(
    graph: Graph,
    target: Target | str,
    *,
    calibration: Any = None,
    weight_bits: int | None = None,
    compensate: bool = True,
) -> FixedGraph:
    """Turn a network into whole numbers that a chip's registers can hold.

    A neuron's equations are multiplied by a scale of its own, ``V = 64 S (v - v_leak)``: weights become ``g w S`` with
    the gain ``g`` of the membrane's step, in 8 bits with a shared exponent; the threshold becomes
    ``S (threshold - v_leak)``.
    S is the one of 24 within a factor of two, under what the registers allow, with the smallest weight error; inputs
    count by how often they are active in the calibration recordings.

    Parameters
    ----------
    graph : Graph
        A clocked network of IF, LIF, CubaLIF and LI that reset to `v_leak`, or for Loihi 2 by subtraction. Readouts
        behind one population, with the linear nodes before them, are left to the host.
    target : Target or str
        The chip.
    calibration : neuro.Spikes, array, or list of these, optional
        Recordings. With them scales follow what is active, registers are kept from overflowing, and the report compares
        membranes and spikes; without them there is room for one spike of every input at once where a sixteenth of the
        scale is enough for that. Never take test data.
    weight_bits : int, optional
        1 to 8; None: what the chip has.
    compensate : bool
        Correct gains by the rounded decays, so that the response to a constant input stays that of the network.

    Returns
    -------
    FixedGraph
        With `notes` on all that differs and a `report` per layer.

    Raises
    ------
    UnsupportedNodeError
        If the chip cannot do a node, a reset or a delay; with a remedy.
    QuantizationError
        If all weights of a connection vanish, or registers cannot hold the values.

    Examples
    --------
    >>> from neuro.graph import LIF, Input, Linear, clocked
    >>> nodes = {"in": Input(2), "fc": Linear(np.array([[0.5, -0.25]])), "out": LIF(0.01)}
    >>> fixed = quantize(Graph(nodes, [("in", "fc"), ("fc", "out")], clocked(0.001)), "loihi2")
    >>> fixed.populations["out"].membrane_decay, fixed.connections[0].sign
    (410, 'mixed')
    """
    chip = find_target(target)
    whole = graph
    check_codes(graph)
    graph, host = split_readout(graph)
    check_nodes(graph)
    bits = chip["weight_bits"] if weight_bits is None else weight_bits
    if not 1 <= bits <= min(8, chip["weight_bits"]):
        raise QuantizationError(
            f"quantize: weight_bits must be 1 to {min(8, chip['weight_bits'])}, got {bits}"
        )
    recordings = _recordings(calibration)
    folded = fold_pooling(graph)
    builder = _Builder(folded, chip, bits, compensate, _rates(folded, recordings))
    fixed = builder.build({})
    shrink: dict[str, float] = {}
    for _ in range(12):  # registers that overflow on the calibration recordings get a smaller scale
        over = _overflowing(fixed, recordings, folded)
        if not over:
            break
        shrink = {name: shrink.get(name, 1.0) / (2.0 if name in over else 1.0) for name in {*shrink, *over}}
        fixed = builder.build(shrink)
    layers = measure(folded, fixed, recordings, builder.layers)
    notes = fixed.notes
    if host is not None:
        names = ", ".join(repr(name) for name in host.graph.order[1:])
        notes += (f"the host computes {names} from the spikes of {host.source!r}, in float32",)
    report = QuantizationReport(layers, len(recordings))
    return replace(fixed, report=report, source_digest=whole.digest, notes=notes, host=host)


def _recordings(calibration: Any) -> list[neuro.Spikes]:
    if calibration is None:
        return []
    found = calibration if isinstance(calibration, (list, tuple)) else [calibration]
    return [x if isinstance(x, neuro.Spikes) else neuro.Spikes.from_dense(x) for x in found]


def _rates(graph: Graph, recordings: Sequence[neuro.Spikes]) -> dict[str, Floats]:
    """Return the mean square of what each population hands on in a step, by neuron."""
    if not recordings:
        return {}
    spiking = [name for name in neurons_of(graph) if not isinstance(graph.nodes[name], LI)]
    totals = {name: np.zeros(math.prod(graph.shapes[name])) for name in (graph.input_name, *spiking)}
    n_steps = 0
    for recording in recordings:
        result = neuro.simulate(graph, recording, record=dict.fromkeys(spiking, "spikes"))
        n_steps += recording.n_steps
        for name, train in {graph.input_name: recording, **result.spikes}.items():
            squares = train.value.astype(np.float64) ** 2
            totals[name] += np.bincount(train.index, squares, minlength=totals[name].size)
    return {name: (total + 0.5) / (n_steps + 1) for name, total in totals.items()}


def _overflowing(fixed: FixedGraph, recordings: Sequence[neuro.Spikes], graph: Graph) -> set[str]:
    from hw.agreement import kept_steps
    from hw.emulator import Engine

    if not recordings:
        return set()
    engine, over = Engine(fixed, fixed.profile), set()
    for recording in recordings:
        counters = engine.run(recording, kept=kept_steps(graph, recording)).counters
        for name, population in fixed.populations.items():
            beyond = counters.current_overflows.get(name, 0) + counters.membrane_overflows.get(name, 0)
            if beyond or (population.kind == "readout" and counters.spikes[name]):
                over.add(name)
    return over


@dataclass
class _Builder:
    """Makes the populations and connections of a graph for given limits of the scales."""

    graph: Graph
    chip: Target
    bits: int
    compensate: bool
    rates: dict[str, Floats]

    def build(self, shrink: dict[str, float]) -> FixedGraph:
        graph = self.graph
        names = neurons_of(graph)
        routes = [route for name in names for route in routes_into(graph, name)]
        self.depths = dict(depths_by_delay((graph.input_name, *names), routes))
        self.notes: list[str] = []
        self.layers: dict[str, LayerReport] = {}
        self.populations = {graph.input_name: Population(tuple(graph.shapes[graph.input_name]), "input")}
        self.connections: list[Connection] = []
        self.unrounded: list[NDArray[np.float32]] = []
        self.gated = any(isinstance(node, TEMPORAL) for node in graph.nodes.values())
        for name in names:
            self._layer(name, [r for r in routes if r.target == name], shrink.get(name, 1.0))
        gate = ""
        if any(c.source == _GATE for c in self.connections):
            gate = _GATE
            self.populations[_GATE] = Population((1,), "input")
            self.depths[_GATE] = 0
            self.notes.append(
                "biases arrive over an axon that the host silences in frames that attention drops"
            )
        return FixedGraph(
            self.populations, tuple(self.connections), self.chip.profile, graph.input_name, gate,
            tuple(graph.output_names), tuple(self.notes), "", self.depths, unrounded=tuple(self.unrounded),
        )  # fmt: skip

    def _layer(self, name: str, routes: list[Route], shrink: float) -> None:
        graph = self.graph
        shape = tuple(graph.shapes[name])
        dynamics = dynamics_of(name, graph.nodes[name], shape, graph.dt_s, self.chip, self.compensate)
        self.notes += dynamics.notes
        operators = [self._operator(route, shape, dynamics) for route in routes]
        constant = constant_into(graph, name) * dynamics.gain
        scale = self._scale(routes, operators, dynamics, constant, shrink)
        layer = LayerReport(name, weights=sum(op.weights.size for op in operators), scale=scale)
        errors = [self._connect(r, op, scale, layer) for r, op in zip(routes, operators, strict=True)]
        layer.weight_error = math.sqrt(sum(e for e, _ in errors) / max(sum(t for _, t in errors), 1e-300))
        threshold = dynamics.threshold * scale
        rounded = np.full(1, NEVER) if dynamics.is_readout else dynamics.rounded_threshold(scale)
        layer.threshold_error = 0.0
        if not dynamics.is_readout:
            error = np.abs(np.atleast_1d(rounded) - threshold) / np.maximum(np.abs(threshold), 1e-9)
            layer.threshold_error = float(error.max())
        layer.decay_error = dynamics.decay_error
        mantissa: Any = 0
        exponent: Any = 0
        if constant.any():
            if self.gated:
                self._gate(name, constant * scale, layer)
            else:
                mantissa, exponent = bias_registers(name, constant * scale * 64)
        self.populations[name] = Population(
            shape, "readout" if dynamics.is_readout else "lif",
            current_decay=dynamics.current_decay, membrane_decay=dynamics.membrane_decay,
            threshold=_short(rounded), bias_mantissa=_short(mantissa), bias_exponent=_short(exponent),
            refractory_steps=dynamics.refractory_steps,
            subtraction=_short(dynamics.rounded_subtraction(scale)),
            reset_step=self.depths[name] if np.any(mantissa) and self.depths[name] else -1,
            scale=64.0 * scale, rest=dynamics.rest,
        )  # fmt: skip
        self.layers[name] = layer

    def _operator(self, route: Route, shape: tuple[int, ...], dynamics: Dynamics) -> Operator:
        source = tuple(self.graph.shapes[route.source])
        scaled = operator_of(list(route.steps), source, shape, as_matrix=False).scaled(dynamics.gain)
        if scaled is None:
            matrix = operator_of(list(route.steps), source, shape, as_matrix=True)
            scaled = matrix.scaled(dynamics.gain)
            self.notes.append(
                f"{route.target}: gains differ within a channel, its convolution is stored synapse by synapse"
            )
        assert scaled is not None
        if not scaled.weights.any():
            raise QuantizationError(
                f"{route.source} -> {route.target}: all weights are 0; remove the connection"
            )
        return scaled

    def _scale(
        self,
        routes: list[Route],
        operators: list[Operator],
        dynamics: Dynamics,
        constant: Floats,
        shrink: float,
    ) -> float:
        """Choose the scale with the smallest weight error within a factor of two under what the registers allow."""
        largest = max(float(np.abs(op.weights).max()) for op in operators)
        limits = [250 * 128 / largest]
        top = float(np.max(np.abs(dynamics.threshold)))
        limits.append(2.0**14 / top if top > 0 else 2.0**14)
        if constant.any():
            biggest = float(np.abs(constant).max())
            limits.append(4095 * 128 / (64 * biggest) if not self.gated else 250 * 128 / biggest)
        high = min(limits) * shrink
        if (
            not self.rates
        ):  # nothing says what is active: leave room for all inputs at once, up to a sixteenth
            most = sum(op.largest_sum for op in operators)
            high = max(min(high, 2.0**17 / most), high / 16)
        candidates = high * 2.0 ** (-np.arange(_CANDIDATES) / _CANDIDATES)
        power = 2.0 ** math.floor(math.log2(high))
        errors = [
            (sum(self._error(r, op, s) for r, op in zip(routes, operators, strict=True)), -s)
            for s in (power, *candidates)
        ]
        return float(-min(errors)[1])

    def _error(self, route: Route, op: Operator, scale: float) -> float:
        mantissas, exponent, _ = self._mantissas(op, scale)
        difference = (mantissas * 2.0**exponent / scale - op.weights) ** 2
        return float((difference * self._activity(route.source, op)).sum())

    def _activity(self, source: str, op: Operator) -> Floats | float:
        rates = self.rates.get(source)
        if rates is None:
            return 1.0
        if op.kind == "dense":
            return rates[None, :]
        if op.kind == "sparse":
            return rates[op.columns]
        by_channel = rates.reshape(-1, rates.size // (op.weights.shape[1] * op.groups)).mean(axis=1)
        return float(by_channel.mean()) if op.groups > 1 else by_channel[None, :, None, None]

    def _mantissas(self, op: Operator, scale: float) -> tuple[Floats, int, str]:
        """Round weights at a scale: mantissas on the chip's grid, the exponent that they share, the sign mode."""
        scaled = op.weights * scale
        sign = sign_of(op.weights)
        step = step_of(self.bits, sign)
        low, high = weight_range(sign)
        top = high // step * step
        least = 0 if op.kind == "conv" or self.chip.profile == "loihi1" else -8
        exponent = max(least, math.ceil(math.log2(float(np.abs(scaled).max()) / (top + step / 2)) - 1e-12))
        exponent = min(exponent, 7)
        mantissas = np.rint(scaled / (2.0**exponent * step)) * step
        return np.clip(mantissas, low // step * step if low else 0, top), exponent, sign

    def _connect(self, route: Route, op: Operator, scale: float, layer: LayerReport) -> tuple[float, float]:
        mantissas, exponent, sign = self._mantissas(op, scale)
        found = mantissas * 2.0**exponent / scale
        is_clipped = np.abs(found - op.weights) * scale > step_of(self.bits, sign) * 2.0**exponent
        layer.clipped += int(is_clipped.sum())
        vanished = (mantissas == 0) & (op.weights != 0)
        layer.vanished += int(vanished.sum())
        if not mantissas.any():
            raise QuantizationError(
                f"{route.source} -> {route.target}: all weights vanish in {self.bits} bits beside the others of "
                f"{route.target!r}; use more bits or put a neuron between them"
            )
        self._note_lost(route, op, vanished)
        delay = self._delay(route, op)
        source = self.graph.nodes[route.source]
        has_values = getattr(source, "max_count", 1) != 1
        self.connections.append(
            Connection(
                route.source, route.target, op.kind, mantissas.astype(np.int16), op.rows, op.columns,  # type: ignore[arg-type]
                weight_exponent=exponent, weight_bits=self.bits, sign=sign,  # type: ignore[arg-type]
                delay=delay if op.delays is None else op.delays + delay, is_graded=has_values,
                stride=op.stride, padding=op.padding, dilation=op.dilation, groups=op.groups,
            )
        )  # fmt: skip
        self.unrounded.append((op.weights * scale / 2.0**exponent).astype(np.float32))
        note = f"{self.chip.name} has no values in spikes: the host sends a count of n as n spikes in the same step"
        if has_values and not self.chip["payload_bits"] and note not in self.notes:
            self.notes.append(note)
        activity = self._activity(route.source, op)
        error = ((found - op.weights) ** 2 * activity).sum()
        return float(error), float((op.weights**2 * activity).sum())

    def _delay(self, route: Route, op: Operator) -> int:
        """Give the delay that brings spikes in time with those of other ways; the operator's own are added to it."""
        delay = route.delay + self.depths[route.target] - self.depths[route.source] - 1
        longest = delay if op.delays is None else delay + int(op.delays.max())
        if longest > self.chip["delay_steps"]:
            raise QuantizationError(
                f"{route.source} -> {route.target}: needs a delay of {longest} steps, {self.chip.name} has "
                f"{self.chip['delay_steps']}; split it with a neuron that repeats spikes"
            )
        if delay > route.delay:
            self.notes.append(
                f"{route.source} -> {route.target}: delayed by {delay - route.delay} more steps, because another way "
                f"to {route.target} takes as many connections more"
            )
        return delay

    def _note_lost(self, route: Route, op: Operator, vanished: NDArray[np.bool_]) -> None:
        """Name the neurons, or channels of a kernel, of which no weight is left."""
        if not vanished.any():
            return
        if op.kind == "sparse":
            assert op.rows is not None
            left, lost = np.unique(op.rows[~vanished & (op.weights != 0)]), np.unique(op.rows[vanished])
            n_lost = np.setdiff1d(lost, left).size
        else:
            axes = tuple(range(1, op.weights.ndim))
            n_lost = int((vanished.any(axis=axes) & (vanished | (op.weights == 0)).all(axis=axes)).sum())
        if n_lost:
            what = "channels" if op.kind == "conv" else "neurons"
            self.notes.append(
                f"{route.source} -> {route.target}: all weights of {n_lost} {what} vanish in {self.bits} bits beside "
                "the others; use more bits, or scale weights and threshold of each alike before"
            )

    def _gate(self, name: str, constant: Floats, layer: LayerReport) -> None:
        operator = Operator("dense", constant[:, None])
        mantissas, exponent, sign = self._mantissas(operator, 1.0)
        layer.vanished += int(((mantissas[:, 0] == 0) & (constant != 0)).sum())
        if mantissas.any():
            self.connections.append(
                Connection(
                    _GATE, name, "dense", mantissas.astype(np.int16), weight_exponent=exponent,
                    weight_bits=self.bits, sign=sign, delay=self.depths[name] - 1,  # type: ignore[arg-type]
                )
            )  # fmt: skip
            self.unrounded.append((constant[:, None] / 2.0**exponent).astype(np.float32))


def bias_registers(name: str, bias: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Round biases to a mantissa of 12 bits and a sign, and an exponent of 0 to 7.

    Examples
    --------
    >>> [part.tolist() for part in bias_registers("lif", np.array([3.4, -9000.0]))]
    [[3, -2250], [0, 2]]
    """
    exponent = np.maximum(0, np.ceil(np.log2(np.maximum(np.abs(bias), 1) / 4095.4))).astype(np.int64)
    if exponent.max() > 7:
        raise QuantizationError(
            f"{name}: a bias needs an exponent of {exponent.max()}, at most 7 is there; make it smaller beside "
            "the threshold, or use neurons with fewer inputs"
        )
    return np.clip(np.rint(bias / 2.0**exponent), -4096, 4095).astype(np.int64), exponent


def _short(values: Any) -> Any:
    """Return one number if all are equal."""
    array = np.atleast_1d(np.asarray(values)).astype(np.int64)
    return int(array[0]) if (array == array[0]).all() else array
