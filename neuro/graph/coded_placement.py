"""Where coded neurons may stand: in clocked graphs whose every step is computed."""

from __future__ import annotations

from collections.abc import Mapping

from neuro.errors import GraphError
from neuro.graph.execution import Clocked, Execution
from neuro.graph.networks import has_populations
from neuro.graph.nodes import ATTENTIONS, CODING, Node
from neuro.graph.shapes import label

__all__ = ["check_coding"]


def check_coding(nodes: Mapping[str, Node], execution: Execution) -> None:
    """Refuse coded neurons beside what would leave out steps, or where there are none."""
    coded = next((label(name, node) for name, node in nodes.items() if isinstance(node, CODING)), None)
    if coded is None:
        return
    if not isinstance(execution, Clocked):
        raise GraphError(f"{coded}: counts steps, and continuous execution has none; use clocked(dt_s)")
    if has_populations(nodes):
        raise GraphError(f"{coded}: runs in layered graphs, not in networks of populations")
    for name, node in nodes.items():
        if isinstance(node, ATTENTIONS):
            raise GraphError(
                f"{coded}: every step carries a part of its count, but {label(name, node)} may drop some; leave the "
                "attention out"
            )
