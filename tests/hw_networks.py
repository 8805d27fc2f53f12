"""Random networks in fixed point, from a seed: for the oracle, for Lava, for benchmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import hw

RANGES = {"mixed": (-256, 256), "excitatory": (0, 256), "inhibitory": (-255, 1)}


def random_connection(
    rng: np.random.Generator, source: tuple[str, int], target: tuple[str, int], *, kinds: tuple[str, ...]
) -> hw.Connection:
    """Make a dense or sparse connection, with or without delays, of any sign mode, exponent and number of bits."""
    kind = kinds[rng.integers(len(kinds))]
    sign = tuple(RANGES)[rng.integers(3)]
    shape = (target[1], source[1])
    weights = rng.integers(*RANGES[sign], shape)
    settings = {
        "weight_exponent": int(rng.integers(-8, 8)),
        "weight_bits": int(rng.integers(1, 9)),
        "sign": sign,
    }
    delay = rng.integers(0, int(rng.integers(2, 11)), shape) if kind.startswith("delayed") else 0
    if kind.endswith("dense"):
        return hw.Connection(source[0], target[0], "dense", weights, delay=delay, **settings)
    rows, columns = np.nonzero(rng.random(shape) < 0.6)
    if not isinstance(delay, int):
        delay = delay[rows, columns]
    ends = {"rows": rows.astype(np.int32), "columns": columns.astype(np.int32)}
    return hw.Connection(
        source[0], target[0], "sparse", weights[rows, columns], delay=delay, **ends, **settings
    )


def random_convolution(
    rng: np.random.Generator, source: str, target: str, shape: tuple[int, int, int], *, groups: bool = False
) -> tuple[hw.Connection, tuple[int, int, int]]:
    """Make a convolution that fits a shape, and say what shape it gives."""
    n_groups = 2 if groups and shape[0] % 2 == 0 and rng.random() < 0.3 else 1
    out = int(rng.integers(1, 4)) * n_groups
    kernel = [int(rng.integers(1, min(4, n) + 1)) for n in shape[1:]]
    weights = rng.integers(-256, 255, (out, shape[0] // n_groups, *kernel)) // 2 * 2
    settings = {
        "stride": (int(rng.integers(1, 4)), int(rng.integers(1, 4))),
        "padding": (int(rng.integers(0, 3)), int(rng.integers(0, 3))),
        "dilation": tuple(
            int(rng.integers(1, 3)) if (k - 1) * 2 + 1 <= n else 1
            for k, n in zip(kernel, shape[1:], strict=True)
        ),
    }
    exponent = int(rng.integers(0, 8))
    c = hw.Connection(source, target, "conv", weights, weight_exponent=exponent, groups=n_groups, **settings)
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(shape[1:], kernel, c.stride, c.padding, c.dilation, strict=True)
    ]
    return c, (out, sizes[0], sizes[1])


def random_population(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    arrays: bool = False,
    refractory: bool = False,
    subtracts: bool = False,
) -> hw.Population:
    """Make neurons with any decays, biases and thresholds."""
    n = int(np.prod(shape))
    size = n if arrays else None
    current, membrane = rng.integers(1, 4097, size), rng.integers(0, 4096, size)
    biased = rng.random() < 0.5
    values = {
        "current_decay": current if arrays else int(current) if rng.random() < 0.7 else 1,
        "membrane_decay": membrane if arrays else int(membrane) if rng.random() < 0.7 else 0,
        "threshold": int(rng.integers(1, 1 << int(rng.integers(1, 18)))),
        "bias_mantissa": rng.integers(-4096, 4096, n) * biased,
        "bias_exponent": rng.integers(0, 8, n),
    }
    if refractory:
        values["refractory_steps"] = rng.integers(0, 4, n) if arrays else int(rng.integers(0, 4))
    if subtracts:
        values["subtraction"] = rng.integers(1, 131073, n) if arrays else int(rng.integers(1, 3000))
    return hw.Population(shape, "lif", **values)


def random_network(  # two layers, each possibly with a loop onto itself
    seed: int,
    *,
    kinds: tuple[str, ...],
    loops: bool = False,
    arrays: bool = False,
    refractory: bool = False,
    subtracts: bool = False,
) -> tuple[hw.FixedGraph, np.ndarray]:
    """Make a network of two layers and a recording for it."""
    rng = np.random.default_rng(seed)
    sizes = [int(rng.integers(2, 12)), int(rng.integers(2, 9)), int(rng.integers(1, 6))]
    populations = {"in": hw.Population((sizes[0],), "input")}
    connections = []
    for k, (before, name) in enumerate((("in", "hidden"), ("hidden", "out"))):
        populations[name] = random_population(
            rng, (sizes[k + 1],), arrays=arrays, refractory=refractory, subtracts=subtracts
        )
        ends = (before, sizes[k]), (name, sizes[k + 1])
        connections.append(random_connection(rng, *ends, kinds=kinds))
        if loops and rng.random() < 0.5:
            connections.append(random_connection(rng, ends[1], ends[1], kinds=kinds))
    frames = (rng.random((40, sizes[0])) < rng.uniform(0.05, 0.9)).astype(np.float32)
    return hw.FixedGraph(populations, tuple(connections)), frames


def random_convolutions(
    seed: int, *, groups: bool = False, graded: bool = False
) -> tuple[hw.FixedGraph, np.ndarray]:
    """Make a network of two convolutions and a recording for it."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(3, 8)), int(rng.integers(3, 8)))
    populations = {"in": hw.Population(shape, "input")}
    connections, size = [], shape
    for before, name in (("in", "hidden"), ("hidden", "out")):
        connection, size = random_convolution(rng, before, name, size, groups=groups)
        if graded and before == "in":
            exponent = min(connection.weight_exponent, 0)  # sums stay in range
            connection = replace(with_values(connection), weight_exponent=exponent)
        connections.append(connection)
        populations[name] = random_population(rng, size)
    frames = (rng.random((20, *shape)) < rng.uniform(0.05, 0.6)).astype(np.float32)
    if graded:
        frames *= rng.integers(1, 1 << int(rng.integers(1, 9)), frames.shape)
    return hw.FixedGraph(populations, tuple(connections)), frames


def with_values(connection: hw.Connection) -> hw.Connection:
    """Return the connection with values of spikes that multiply its weights."""
    return replace(connection, is_graded=True)
