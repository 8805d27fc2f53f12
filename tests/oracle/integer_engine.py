"""Networks in fixed point, one Python integer at a time: what `hw.emulate` must give."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

import hw

LIMIT = 2**23


def towards_zero(x: int, bits: int) -> int:
    return (abs(x) >> bits) * (1 if x >= 0 else -1)


def cut(connection: hw.Connection, weight: int, profile: str) -> int:
    mixed = connection.sign == "mixed"
    low = 8 - connection.weight_bits + mixed
    if profile == "lava":
        if connection.sign == "inhibitory":
            weight = -weight
        weight = max(-256 if mixed else 0, min(255, weight))
        weight = (weight >> low) << low
        return -weight if connection.sign == "inhibitory" else weight
    weight = towards_zero(weight, low) << low
    scaled = (
        (weight * 2 ** (6 + connection.weight_exponent + 8)) >> 8 >> 6 << 6
    )  # 8 spare bits: exponents down to -8
    return max(-(2**21) + 64, min(2**21 - 64, scaled)) >> 6


def synapses(fixed: hw.FixedGraph, connection: hw.Connection) -> list[tuple[int, int, int, int]]:
    """List (source neuron, target neuron, mantissa, delay)."""
    w = connection.weights
    delays = np.broadcast_to(np.asarray(connection.delay), w.shape)
    if connection.kind == "dense":
        return [(j, i, int(w[i, j]), int(delays[i, j])) for i in range(w.shape[0]) for j in range(w.shape[1])]
    if connection.kind == "sparse":
        ends = zip(connection.columns, connection.rows, strict=True)
        return [(int(j), int(i), int(w[k]), int(delays[k])) for k, (j, i) in enumerate(ends)]
    (_, height, width) = fixed.populations[connection.source].shape
    (n_out, out_height, out_width) = fixed.populations[connection.target].shape
    per_in, rows, columns = w.shape[1:]
    found = []
    for o in range(n_out):
        first = o // (n_out // connection.groups) * per_in
        for r in range(out_height):
            for c in range(out_width):
                for k in range(per_in):
                    for a in range(rows):
                        for b in range(columns):
                            y = r * connection.stride[0] - connection.padding[0] + a * connection.dilation[0]
                            x = c * connection.stride[1] - connection.padding[1] + b * connection.dilation[1]
                            if 0 <= y < height and 0 <= x < width:
                                source = ((first + k) * height + y) * width + x
                                target = (o * out_height + r) * out_width + c
                                found.append((source, target, int(w[o, k, a, b]), int(connection.delay)))
    return found


def run(fixed: hw.FixedGraph, frames: Any, n_chip: int, profile: str) -> dict[str, dict[str, Any]]:
    """Return for each population lists of u, v and what is sent, step by step of the chip."""
    names = list(fixed.populations)
    state: dict[str, Any] = {}
    for name in names:
        n = fixed.populations[name].size
        state[name] = {key: [0] * n for key in ("u", "v", "held", "sum", "act", "residue", "error")}
    tables = []
    for connection in fixed.connections:
        by_source = defaultdict(list)
        for j, i, w, d in synapses(fixed, connection):
            by_source[j].append((i, cut(connection, w, profile), d))
        tables.append(by_source)
    sent: dict[str, list[list[int]]] = {name: [] for name in names}
    log: dict[str, dict[str, Any]] = {name: {"u": [], "v": [], "sent": sent[name]} for name in names}
    for step in range(n_chip):
        arriving = {name: [0] * fixed.populations[name].size for name in names}
        for connection, table in zip(fixed.connections, tables, strict=True):
            sums: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
            for delay in range(64):
                t = step - 1 - delay
                if t < 0:
                    break
                for j, value in enumerate(sent[connection.source][t]):
                    if value:
                        for i, w, d in table.get(j, ()):
                            if d == delay:
                                sums[delay][i] += w * (value if connection.is_graded else 1)
            for part in sums.values():
                for i, total in part.items():
                    shifted = total
                    if profile == "lava" and connection.kind == "conv":
                        shifted = ((total << connection.weight_exponent) + LIMIT) % (2 * LIMIT) - LIMIT
                    elif profile == "lava":
                        e = connection.weight_exponent
                        shifted = total << e if e > 0 else total >> -e
                    arriving[connection.target][i] += shifted
        for name in names:
            population = fixed.populations[name]
            if population.kind == "input":
                frame = frames.get(name)
                n = population.size
                sent[name].append(
                    [int(x) for x in frame[step]] if frame is not None and step < len(frame) else [0] * n
                )
            else:
                update = lif if population.kind in ("lif", "readout") else graded
                sent[name].append(update(population, state[name], arriving[name], step, profile))
            log[name]["u"].append(list(state[name]["u"]))
            log[name]["v"].append(list(state[name]["v"]))
    return log


def lif(population: hw.Population, state: Any, a: list[int], step: int, profile: str) -> list[int]:
    n = population.size
    interval = population.reset_interval
    if step == population.reset_step or (interval and step % interval == population.reset_step % interval):
        for key in ("u", "v", "held"):
            state[key] = [0] * n
    keep_u, keep_v = 4096 - population.register("current_decay"), 4096 - population.register("membrane_decay")
    threshold, bias, hold = (
        population.register("threshold"),
        population.bias,
        population.register("refractory_steps"),
    )
    out, lowered = [0] * n, population.register("subtraction")
    for i in range(n):
        u = towards_zero(state["u"][i] * int(keep_u[i]), 12) + a[i] * 64
        if profile == "lava":
            if u > LIMIT:
                u -= 2 * LIMIT
            if u <= -LIMIT:
                u += 2 * LIMIT
        state["u"][i] = u
        if state["held"][i]:
            state["held"][i] -= 1
            continue
        v = towards_zero(state["v"][i] * int(keep_v[i]), 12) + u + int(bias[i])
        if profile == "lava":
            v = max(-LIMIT + 1, min(LIMIT - 1, v))
        if v > int(threshold[i]) * 64:
            v = v - 64 * int(lowered[i]) if lowered.any() else 0
            out[i], state["held"][i] = 1, int(hold[i])
        state["v"][i] = v
    return out


def graded(population: hw.Population, state: Any, a: list[int], step: int, profile: str) -> list[int]:
    threshold, bias = population.register("threshold"), population.bias
    out = []
    for i, x in enumerate(a):
        kind = population.kind
        if kind == "graded":
            out.append(x if abs(x) > threshold[i] else 0)
        elif kind == "graded_relu":
            out.append(x if x > threshold[i] else 0)
        elif kind == "sigma":
            state["sum"][i] += x
            out.append(state["sum"][i])
        else:
            act = x << (population.spike_exponent + population.state_exponent)
            if kind == "sigma_delta":
                state["sum"][i] += x
                act = max(state["sum"][i] + int(bias[i]), 0)
            delta = act - state["act"][i] + state["residue"][i]
            judged = delta
            if population.is_cumulative:
                state["error"][i] += delta
                judged = state["error"][i]
            spike = delta if abs(judged) >= threshold[i] else 0
            if spike:
                state["error"][i] = 0
            state["residue"][i] = delta - spike
            state["act"][i] = act
            out.append(spike >> population.state_exponent)
    return out
