"""Activations with two signs as two with one: for codes whose spikes have no sign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analog_bridge.layers import Activation, Layer, LayerGraph, Scale, Sum

__all__ = ["split_signed"]


def split_signed(layers: LayerGraph) -> LayerGraph:
    """Return a network whose activations that may be negative are ``clip(x, 0, upper) - clip(-x, 0, -lower)``.

    Parameters
    ----------
    layers : LayerGraph
        A network with Activations (Hardtanh, clamp).

    Returns
    -------
    LayerGraph
        The same values, with an Activation for either sign, named ``NAME.positive`` and ``NAME.negative``, in the
        place of each; the network itself if it has none. Leaky activations are split by `calibrate`.

    Examples
    --------
    >>> from analog_bridge.layers import InputLayer
    >>> graph = LayerGraph((InputLayer("x", (), (2,)), Activation("tanh", ("x",), lower=-1.0, upper=1.0)), ("tanh",))
    >>> [layer.name for layer in split_signed(graph).layers]
    ['x', 'tanh.positive', 'tanh.flipped', 'tanh.negative', 'tanh.back', 'tanh']
    """
    if not any(isinstance(layer, Activation) and layer.lower < 0 for layer in layers.layers):
        return layers
    found: list[Layer] = []
    for layer in layers.layers:
        if not isinstance(layer, Activation) or layer.lower == 0:
            found.append(layer)
            continue
        n, name, place = layers.shapes[layer.name][0], layer.name, layer.place
        back, zeros = -np.ones(n), np.zeros(n)
        found += [
            Activation(f"{name}.positive", layer.inputs, upper=layer.upper, place=place),
            Scale(f"{name}.flipped", layer.inputs, back, zeros, place=place),
            Activation(f"{name}.negative", (f"{name}.flipped",), upper=-layer.lower, place=place),
            Scale(f"{name}.back", (f"{name}.negative",), back, zeros, place=place),
            Sum(name, (f"{name}.positive", f"{name}.back"), place=place),
        ]
    return replace(layers, layers=tuple(found))
