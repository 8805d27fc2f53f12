"""Networks with attention in every layer as graphs: batch norm folded, weights on a grid where sums are exact."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch
from torch import nn

from neuro.graph import (
    LIF,
    AvgPool2d,
    ChannelAttention,
    Conv2d,
    Flatten,
    Graph,
    Input,
    Linear,
    Node,
    SpatialAttention,
    clocked,
)
from neuro.training.scores import array_of
from neuro.training.snapping import fold_batch_norm, snap
from neuro.training.stack import AttentionStack, AttentiveLayer, ChannelScores, PixelScores


def fold_stack(network: AttentionStack) -> tuple[AttentionStack, float | None]:
    """Fold batch norm; round weights and biases to the finest exact grid, if what enters the layers is on one.

    Parameters
    ----------
    network : AttentionStack
        A trained network; not changed.

    Returns
    -------
    tuple[AttentionStack, float or None]
        A new network without batch norm, in evaluation mode, and its grid; None with channel or spatial attention,
        whose scores multiply what enters the layers.
    """
    config = network.config
    synapses = []
    for number, layer in enumerate(network.attentive_layers):
        folded = fold_batch_norm(
            layer.synapse, layer.norm, max_input=float(config.max_count) if number == 0 else 1.0
        )
        synapses.append(replace(folded, input_grid=1.0 / layer.layer.pool**2))
    grid: float | None = None
    if not (config.channels or config.pixels):
        grid, synapses = snap(synapses)
    made = AttentionStack(config)
    made.load_state_dict(network.state_dict())
    for layer, synapse in zip(made.attentive_layers, synapses, strict=True):
        assert layer.synapse.bias is not None
        layer.norm = nn.Identity()
        with torch.no_grad():
            layer.synapse.weight.copy_(torch.from_numpy(synapse.weight))
            layer.synapse.bias.copy_(torch.from_numpy(synapse.bias))
    made.requires_grad_(False)
    return made.eval(), grid


def stack_graph(
    network: AttentionStack,
    *,
    threshold: float,
    entry_threshold: float,
    weight_grid: float | None,
    metadata: dict[str, str | int | float] | None = None,
) -> Graph:
    """Describe a network whose batch norm is folded.

    Parameters
    ----------
    network : AttentionStack
        Folded network.
    threshold : float
        Frames with a lower score are dropped (0: none).
    entry_threshold : float
        Channels and pixels with a lower score are removed (0: none).
    weight_grid : float or None
        Grid of the weights, if they are on one.
    metadata : dict, optional
        Notes for the graph.

    Returns
    -------
    Graph
        Nodes 'input', then for each layer k 'attentionk', 'channelsk', 'pixelsk' (where it has them), 'convk' or
        'lineark', 'poolk', 'lifk'; with reading 'code' attention stands behind the pool.
    """
    config = network.config
    nodes: dict[str, Node] = {"input": Input(config.input_shape, config.max_count)}
    for number, layer in enumerate(network.attentive_layers, start=1):
        is_code = config.reading == "code"
        attention = None if layer.scores is None else replace(layer.scores.node(threshold), scaling=is_code)
        if attention is not None and not is_code:
            nodes[f"attention{number}"] = attention
        if layer.channels is not None:
            nodes[f"channels{number}"] = _channel_node(layer.channels, entry_threshold)
        if layer.pixels is not None:
            nodes[f"pixels{number}"] = _pixel_node(layer.pixels, entry_threshold)
        if layer.layer.kernel is None and len(layer.shape) == 3:
            nodes["flatten"] = Flatten()
        nodes.update(_synapse_nodes(layer, number))
        if attention is not None and is_code:
            nodes[f"attention{number}"] = attention
        nodes[f"lif{number}"] = LIF(
            config.tau_mem_s, config.threshold, update="decay", reset="clamp" if is_code else "value"
        )
    return Graph(nodes, list(pairwise(nodes)), clocked(config.dt_s), weight_grid, metadata)


def _synapse_nodes(layer: AttentiveLayer, number: int) -> dict[str, Node]:
    assert layer.synapse.bias is not None
    weight, bias = array_of(layer.synapse.weight), array_of(layer.synapse.bias)
    if layer.layer.kernel is None:
        return {f"linear{number}": Linear(weight, bias)}
    padding = layer.layer.kernel // 2
    found: dict[str, Node] = {f"conv{number}": Conv2d(weight, bias, padding=(padding, padding))}
    if layer.layer.pool > 1:
        found[f"pool{number}"] = AvgPool2d((layer.layer.pool, layer.layer.pool))
    return found


def _channel_node(scores: ChannelScores, threshold: float) -> ChannelAttention:
    first, second = scores.excite_1, scores.excite_2
    return ChannelAttention(
        array_of(first.weight),
        array_of(first.bias),
        array_of(second.weight),
        array_of(second.bias),
        threshold,
        scaling=True,
    )


def _pixel_node(scores: PixelScores, threshold: float) -> SpatialAttention:
    assert scores.excite.bias is not None
    return SpatialAttention(
        array_of(scores.excite.weight)[0], float(scores.excite.bias), threshold, scaling=True
    )
