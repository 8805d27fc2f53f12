"""Wiring: SparseLinear drawn at random from a seed, or one to one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuro.errors import GraphError
from neuro.graph.fields import as_float, as_whole
from neuro.graph.plasticity import Stdp
from neuro.graph.sparse import Receptor, SparseLinear, row_starts

__all__ = ["connect_pairs", "connect_in_degree", "connect_one_to_one", "Values"]

Values = float | Callable[[np.random.Generator, int], ArrayLike]
_OWNER = "SparseLinear"


def connect_pairs(
    probability: float,
    *,
    n_out: int,
    n_in: int,
    weight: Values,
    seed: int,
    delay_s: Values = 0.0,
    connect_self: bool = True,
    receptor: Receptor = "excitatory",
    stdp: Stdp | None = None,
) -> SparseLinear:
    """Connect each pair with the same probability, independently.

    Parameters
    ----------
    probability : float
        From 0 to 1.
    n_out, n_in : int
        Number of outputs and inputs.
    weight : float, or function of (generator, n)
        One value for all synapses, or a function that draws `n` values.
    seed : int
        Seed of all random choices.
    delay_s : float, or function of (generator, n)
        Delays in seconds, likewise.
    connect_self : bool
        Whether an output may be connected to the input of the same number.
    receptor : {'excitatory', 'inhibitory'}
        As in SparseLinear.
    stdp : Stdp, optional
        As in SparseLinear.

    Returns
    -------
    SparseLinear
        Rows in ascending order of the inputs.

    Examples
    --------
    >>> connect_pairs(0.02, n_out=100, n_in=400, weight=0.1, seed=1).n_synapses
    786
    """
    probability = as_float(_OWNER, "probability", probability)
    if not 0 <= probability <= 1:
        raise GraphError(f"{_OWNER}: probability must be from 0 to 1, got {probability}")
    n_out, n_in = as_whole(_OWNER, "n_out", n_out, least=1), as_whole(_OWNER, "n_in", n_in, least=1)
    rng = np.random.default_rng(seed)
    place = _bernoulli_places(rng, probability, n_out * n_in)
    rows, columns = np.divmod(place, n_in)
    if not connect_self:
        kept = rows != columns
        rows, columns = rows[kept], columns[kept]
    starts = row_starts(np.bincount(rows, minlength=n_out))
    return SparseLinear(
        _drawn(weight, rng, columns.size),
        columns,
        starts,
        n_in,
        delay_s=_drawn(delay_s, rng, columns.size) if callable(delay_s) else delay_s,
        receptor=receptor,
        stdp=stdp,
    )


def connect_in_degree(
    in_degree: int,
    *,
    n_out: int,
    n_in: int,
    weight: Values,
    seed: int,
    delay_s: Values = 0.0,
    receptor: Receptor = "excitatory",
    stdp: Stdp | None = None,
) -> SparseLinear:
    """Give each output the same number of synapses, from inputs drawn with replacement.

    Parameters
    ----------
    in_degree : int
        Synapses per output.
    n_out, n_in : int
        Number of outputs and inputs.
    weight : float, or function of (generator, n)
        One value for all synapses, or a function that draws `n` values.
    seed : int
        Seed of all random choices.
    delay_s : float, or function of (generator, n)
        Delays in seconds, likewise.
    receptor : {'excitatory', 'inhibitory'}
        As in SparseLinear.
    stdp : Stdp, optional
        As in SparseLinear.

    Returns
    -------
    SparseLinear
        Pairs may be connected several times.

    Examples
    --------
    >>> connect_in_degree(10, n_out=5, n_in=100, weight=0.1, seed=1).indptr.tolist()
    [0, 10, 20, 30, 40, 50]
    """
    in_degree = as_whole(_OWNER, "in_degree", in_degree, least=0)
    n_out, n_in = as_whole(_OWNER, "n_out", n_out, least=1), as_whole(_OWNER, "n_in", n_in, least=1)
    rng = np.random.default_rng(seed)
    starts = row_starts(np.full(n_out, in_degree))
    columns = rng.integers(0, n_in, n_out * in_degree, dtype=np.int32)
    return SparseLinear(
        _drawn(weight, rng, columns.size),
        columns,
        starts,
        n_in,
        delay_s=_drawn(delay_s, rng, columns.size) if callable(delay_s) else delay_s,
        receptor=receptor,
        stdp=stdp,
    )


def connect_one_to_one(
    n: int, weight: ArrayLike, *, delay_s: float | ArrayLike = 0.0, receptor: Receptor = "excitatory"
) -> SparseLinear:
    """Connect output `i` to input `i`.

    Parameters
    ----------
    n : int
        Number of inputs and of outputs.
    weight : float or array_like, shape (n,)
        Weights.
    delay_s : float or array_like, shape (n,)
        Delays in seconds.
    receptor : {'excitatory', 'inhibitory'}
        As in SparseLinear.

    Returns
    -------
    SparseLinear
        One synapse per row.
    """
    n = as_whole(_OWNER, "n", n, least=1)
    each = np.arange(n)
    return SparseLinear.from_coo(each, each, weight, n_out=n, n_in=n, delay_s=delay_s, receptor=receptor)


def _drawn(values: Values, rng: np.random.Generator, n: int) -> Any:
    return values(rng, n) if callable(values) else np.full(n, values)


def _bernoulli_places(rng: np.random.Generator, probability: float, n: int) -> NDArray[np.int64]:
    """Return the places of the successes among n independent trials, by drawing the gaps between them."""
    if probability == 0:
        return np.zeros(0, np.int64)
    parts: list[NDArray[np.int64]] = []
    last = -1
    while last < n:
        expected = (n - last) * probability
        gaps = rng.geometric(probability, int(expected + 4 * math.sqrt(expected)) + 16)
        places = last + np.cumsum(gaps)
        parts.append(places[places < n])
        last = int(places[-1])
    return np.concatenate(parts)
