"""What is asked of the recordings and states that a clocked run is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuro.errors import InputError
from neuro.graph import Graph, Input
from neuro.results import State
from neuro.spikes import Spikes

if TYPE_CHECKING:
    from neuro.lowering.plan import Plan

__all__ = ["as_spikes", "check_graph", "check_state", "check_values", "checked_input"]


def check_graph(owner: str, graph: object) -> None:
    """Refuse what is no graph; `owner` is what an error begins with."""
    if not isinstance(graph, Graph):
        raise InputError(f"{owner}: graph must be a neuro.graph.Graph, got {type(graph).__name__}")


def checked_input(graph: Graph, plan: Plan | None, inputs: Any) -> Spikes:
    """Return the frames of a recording as Spikes, or an InputError that names what does not fit."""
    spikes = as_spikes(graph, inputs)
    check_values(graph, plan, spikes)
    return spikes


def as_spikes(graph: Graph, inputs: Any) -> Spikes:
    """Return the frames of a recording as Spikes, or an InputError where they are none of the Input's shape."""
    name = graph.input_name
    node = graph.nodes[name]
    assert isinstance(node, Input)
    if isinstance(inputs, Spikes):
        spikes = inputs
    elif isinstance(inputs, np.ndarray):
        if inputs.shape[1:] != node.shape:
            raise InputError(
                f"Input {name!r}: needs an array of shape (n_steps, {_text(node.shape)}), got {inputs.shape}"
            )
        spikes = Spikes.from_dense(inputs)
    else:
        raise InputError(
            f"Input {name!r}: takes neuro.Spikes, an array of shape (n_steps, {_text(node.shape)}) or a list of "
            f"these, got {type(inputs).__name__}"
        )
    if spikes.shape != node.shape:
        raise InputError(f"Input {name!r}: needs frames of shape {node.shape}, got {spikes.shape}")
    return spikes


def check_values(graph: Graph, plan: Plan | None, spikes: Spikes) -> None:
    """Refuse a recording that holds what the Input, or a MaxPool2d behind it, does not allow."""
    name = graph.input_name
    node = graph.nodes[name]
    assert isinstance(node, Input)
    if node.max_count is not None:
        _check_counts(name, node.max_count, spikes)
    elif plan is not None and plan.max_pool is not None and (spikes.value < 0).any():
        j = int(np.argmax(spikes.value < 0))
        raise InputError(
            f"Input {name!r}: MaxPool2d {plan.max_pool!r} needs entries >= 0, got {spikes.value[j]:g} in step "
            f"{spikes.step[j]} at index {spikes.index[j]}"
        )


def _text(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _check_counts(name: str, max_count: int, spikes: Spikes) -> None:
    value = spikes.value
    if value.size == 0 or (value.min() > 0 and value.max() <= max_count and (value == np.floor(value)).all()):
        return
    wrong = (value < 0) | (value > max_count) | (value != np.floor(value))
    j = int(np.argmax(wrong))
    raise InputError(
        f"Input {name!r}: entries must be whole numbers from 0 to max_count = {max_count}, got {value[j]:g} "
        f"in step {spikes.step[j]} at index {spikes.index[j]}"
    )


def check_state(graph: Graph, state: State | None) -> None:
    if state is None:
        return
    if not isinstance(state, State):
        raise InputError(f"simulate: state must be the state of a Result, got {type(state).__name__}")
    if state.graph_digest != graph.digest:
        raise InputError(
            f"simulate: state belongs to another graph ({state.graph_digest[:12]}, this one is "
            f"{graph.digest[:12]}); start without a state"
        )
