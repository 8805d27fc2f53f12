"""What attention does, in plain NumPy: scores from dense frames, and entries that pass (see ``docs/graph-spec.md``)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro.errors import InputError
from neuro.graph import (
    TEMPORAL,
    ChannelAttention,
    Graph,
    MovingAttention,
    SpatialAttention,
    TemporalAttention,
    chain_before,
)
from neuro.results import AttentionReport

__all__ = ["checked_gates", "computed_nodes", "dense_scores", "selected"]

Floats = NDArray[np.float32]
F = np.float32


def computed_nodes(graph: Graph, kept: Mapping[str, bool]) -> dict[str, bool]:
    """Return which nodes compute a step: those that some path from the Input reaches on which no attention drops it.

    Parameters
    ----------
    graph : Graph
        A clocked graph.
    kept : mapping of str to bool
        By temporal attention: whether it keeps the step.

    Returns
    -------
    dict of str to bool
        By node.
    """
    found = dict.fromkeys(graph.order, False)
    found[graph.input_name] = True
    while True:
        before = dict(found)
        for name in graph.order:
            found[name] |= any(found[source] for source in graph.predecessors(name)) and kept.get(name, True)
        if found == before:  # cycles need a second pass
            return found


def dense_scores(graph: Graph, name: str, values: Mapping[str, Floats]) -> Floats:
    """Return the scores of a temporal attention from the values of all nodes in all steps, from rest.

    Parameters
    ----------
    graph : Graph
        A clocked graph.
    name : str
        A TemporalAttention or MovingAttention.
    values : mapping of str to float32 array, shape (n_steps, ...)
        `DenseResult.values`: what the attention takes must be silent in steps that are dropped before it.

    Returns
    -------
    float32, shape (n_steps,)
        On events the mean is ``float32(sum) / float32(n)``, on a current ``float32(sum / n)``, sums in float64.
    """
    node = graph.nodes[name]
    assert isinstance(node, TEMPORAL)
    frames = values[graph.predecessors(name)[0]]
    flat = frames.reshape(len(frames), -1)
    before = {at: graph.predecessors(at) for at in graph.order}
    totals = np.array([np.add.accumulate(row.astype(np.float64))[-1] for row in flat])
    on_current = chain_before(graph.nodes, before, name) != ()
    means = (totals / flat.shape[1]).astype(F) if on_current else totals.astype(F) / F(flat.shape[1])
    if isinstance(node, TemporalAttention):
        return _excite(node, means)
    return _moving(node, means)


def _moving(node: MovingAttention, means: Floats) -> Floats:
    scores = np.empty(len(means), F)
    average = node.start.copy()
    for t, s in enumerate(means):
        average = average + node.rates * (s - average)
        hidden = np.maximum(_affine(node.weight_1, node.bias_1, average), F(0))
        scores[t] = _sigmoid(_affine(node.weight_2[np.newaxis], np.array([node.bias_2], F), hidden))[0]
    return scores


def _excite(node: TemporalAttention | ChannelAttention, squeezed: Floats) -> Floats:
    hidden = np.maximum(_affine(node.weight_1, node.bias_1, squeezed), F(0))
    return _sigmoid(_affine(node.weight_2, node.bias_2, hidden))


def _affine(weight: Floats, bias: Floats, x: Floats) -> Floats:
    total = bias.copy()
    for i, value in enumerate(x):
        total = total + weight[:, i] * value
    return total


def _sigmoid(logits: Floats) -> Floats:
    """``(1 + tanh(x / 2)) / 2`` with the C library's tanh: NumPy's differs in the last bit, far below 0 that shows."""
    tangents = [math.tanh(0.5 * float(x)) for x in logits.reshape(-1)]
    scores: Floats = (0.5 * (1 + np.array(tangents, np.float64).reshape(logits.shape))).astype(F)
    return scores


def selected(node: ChannelAttention | SpatialAttention, x: Floats, *, is_dropping: bool = True) -> Floats:
    """Return what a channel or spatial attention lets through of one frame.

    Parameters
    ----------
    node : ChannelAttention or SpatialAttention
        The attention.
    x : float32, shape (channels, rows, columns) or (n,)
        A frame.
    is_dropping : bool
        Whether entries below the threshold are removed.

    Returns
    -------
    float32, shape of `x`
        The entries that are left, times their score with `scaling`.
    """
    if isinstance(node, ChannelAttention):
        pixels = x.reshape(x.shape[0], -1)
        sums = np.array([np.add.accumulate(row.astype(np.float64))[-1] for row in pixels])
        scores = _excite(node, sums.astype(F) / F(pixels.shape[1]))
        scores = scores.reshape(-1, *(1,) * (x.ndim - 1))
    else:
        scores = _spatial_scores(node, x)[np.newaxis]
    kept: Any = (scores >= F(node.threshold)) | (not is_dropping)
    passed: Floats = np.where(kept, x * scores if node.scaling else x, F(0)).astype(F)
    return passed


def _spatial_scores(node: SpatialAttention, x: Floats) -> Floats:
    mean = np.add.accumulate(x.astype(np.float64), axis=0)[-1].astype(F) / F(x.shape[0])
    maps = (mean, np.maximum(x.max(axis=0), F(0)))
    _, rows, columns = node.weight.shape
    pad_rows, pad_columns = rows // 2, columns // 2
    padded = [np.pad(one, ((pad_rows, pad_rows), (pad_columns, pad_columns))) for one in maps]
    total = np.full(x.shape[1:], F(node.bias))
    for i in range(rows):
        for j in range(columns):
            for m in range(2):
                seen = padded[m][i : i + x.shape[1], j : j + x.shape[2]]
                total = total + node.weight[m, i, j] * seen
    return _sigmoid(total)


def checked_gates(
    graph: Graph, kept: Any, attention: Mapping[str, AttentionReport] | None, n_steps: int
) -> dict[str, tuple[NDArray[np.bool_], Floats]]:
    """Return (kept, scores) of every temporal attention."""
    names = [name for name in graph.order if isinstance(graph.nodes[name], TEMPORAL)]
    gates = {name: (np.ones(n_steps, bool), np.ones(n_steps, F)) for name in names}
    if kept is not None:
        _check_mask("kept", np.asarray(kept), n_steps)
        if not names:
            raise InputError("evaluate: kept drops frames, but the graph has no TemporalAttention")
        if len(names) > 1:
            raise InputError(
                f"evaluate: kept is for one temporal attention, the graph has {', '.join(names)}; pass attention"
            )
        gates[names[0]] = (np.asarray(kept), np.ones(n_steps, F))
    for name in names:
        report = (attention or {}).get(name)
        if report is not None:
            gates[name] = (report.kept, report.scores)
        elif graph.nodes[name].scaling:  # type: ignore[attr-defined]
            raise InputError(f"evaluate: lacks the scores of {name!r}; pass attention=result.attentions")
        _check_mask(f"kept of {name!r}", gates[name][0], n_steps)
    return gates


def _check_mask(what: str, mask: NDArray[Any], n_steps: int) -> None:
    if mask.dtype != np.bool_ or mask.shape != (n_steps,):
        raise InputError(
            f"evaluate: {what} must be bool of shape ({n_steps},), got {mask.dtype} {mask.shape}"
        )
