"""The graph of layers: names, order and shapes, checked once when made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from analog_bridge.errors import LayerError
from analog_bridge.layers.kinds import InputLayer, Layer, Shape
from analog_bridge.layers.shapes import output_shape

__all__ = ["LayerGraph"]

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """Layers in an order in which each comes behind its inputs, and the names of those that are outputs.

    Attributes
    ----------
    layers : tuple of Layer
        In topological order, inputs first.
    outputs : tuple of str
        Names of the layers whose values the network returns.
    notes : tuple of str
        What was left out or replaced on the way here, in words; empty if nothing was.
    shapes : dict
        Shape of every layer's output by name, without a batch axis.

    Raises
    ------
    LayerError
        A name occurs twice or is not known, a layer stands before its input, or shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from analog_bridge.layers import Activation, Dense
    >>> dense = Dense("hidden", ("x",), np.ones((3, 2)), np.zeros(3))
    >>> graph = LayerGraph((InputLayer("x", (), (2,)), dense, Activation("relu", ("hidden",))), ("relu",))
    >>> graph.shapes
    {'x': (2,), 'hidden': (3,), 'relu': (3,)}
    """

    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    shapes: Mapping[str, Shape] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "outputs", tuple(self.outputs))
        object.__setattr__(self, "notes", tuple(self.notes))
        object.__setattr__(self, "shapes", self._infer_shapes())
        if not self.inputs:
            raise LayerError("LayerGraph: has no InputLayer")
        if not self.outputs:
            raise LayerError("LayerGraph: has no outputs; name the layers whose values it returns")
        for name in self.outputs:
            if name not in self.shapes:
                raise LayerError(f"LayerGraph: output {name!r} is not the name of a layer")

    def _infer_shapes(self) -> dict[str, Shape]:
        names = {layer.name for layer in self.layers}
        shapes: dict[str, Shape] = {}
        for layer in self.layers:
            if layer.name in shapes:
                raise LayerError(f"{layer.label}: the name occurs twice; give each layer its own")
            for name in layer.inputs:
                if name not in names:
                    raise LayerError(f"{layer.label}: reads {name!r}, which is not the name of a layer")
                if name not in shapes:
                    raise LayerError(
                        f"{layer.label}: reads {name!r}, which comes behind it; order the layers so that each "
                        "comes behind its inputs (there are no cycles)"
                    )
            shapes[layer.name] = output_shape(layer, [shapes[name] for name in layer.inputs])
        return shapes

    @cached_property
    def by_name(self) -> dict[str, Layer]:
        """The layers by their names."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def inputs(self) -> tuple[InputLayer, ...]:
        """The layers that are inputs, in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, InputLayer))

    @cached_property
    def consumers(self) -> dict[str, tuple[str, ...]]:
        """Names of the layers that read each layer, in order."""
        found: dict[str, list[str]] = {layer.name: [] for layer in self.layers}
        for layer in self.layers:
            for name in dict.fromkeys(layer.inputs):
                found[name].append(layer.name)
        return {name: tuple(names) for name, names in found.items()}

    def walk(
        self, enter: Callable[[InputLayer], Value], apply: Callable[[Layer, list[Value]], Value]
    ) -> Iterator[tuple[Layer, Value]]:
        """Yield every layer with its value, in order; a value that nothing reads any more is dropped.

        Parameters
        ----------
        enter : function of an InputLayer
            Gives the value of an input.
        apply : function of a layer and the values of its inputs
            Gives the value of any other layer.

        Yields
        ------
        layer, value
            In the order of the layers.
        """
        waiting = {name: len(readers) for name, readers in self.consumers.items()}
        values: dict[str, Value] = {}
        for layer in self.layers:
            if isinstance(layer, InputLayer):
                value = enter(layer)
            else:
                value = apply(layer, [values[name] for name in layer.inputs])
            yield layer, value
            values[layer.name] = value
            for name in dict.fromkeys(layer.inputs):
                waiting[name] -= 1
                if not waiting[name]:
                    del values[name]

    def names_of(self, keep: Collection[str]) -> list[str]:
        """Return the names of the outputs, then those of `keep`, each once.

        Parameters
        ----------
        keep : collection of str
            Names of layers.

        Returns
        -------
        list of str
            All of them.

        Raises
        ------
        LayerError
            A name is not that of a layer.
        """
        for name in keep:
            self[name]
        return [*self.outputs, *(name for name in keep if name not in self.outputs)]

    def __getitem__(self, name: str) -> Layer:
        if name not in self.by_name:
            raise LayerError(f"LayerGraph: no layer is called {name!r}; there are {', '.join(self.by_name)}")
        return self.by_name[name]
